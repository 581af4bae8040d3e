import os
import signal
import subprocess
import sys
import threading

import pytest

from omnisrc.media.interrupt_held import interrupt_held


@pytest.fixture(autouse=True)
def python_answers():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever runs us may ignore it
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("beside", [False, True])
def test_an_interrupt_waits_for_the_end_whichever_thread_takes_it(beside):
    done, leave = [], threading.Event()
    other = threading.Thread(target=leave.wait)
    if beside:
        other.start()
    with pytest.raises(KeyboardInterrupt), interrupt_held():
        os.kill(os.getpid(), signal.SIGINT)
        done.append(sum(range(100_000)))
    leave.set()
    assert done and signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_child_that_starts_meanwhile_is_not_interrupted():
    code = "import os, signal; os.kill(os.getpid(), signal.SIGINT); print('there')"
    with interrupt_held():
        child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert child.communicate()[0] == "there\n"
