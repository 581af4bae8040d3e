import os
import signal
import threading

import pytest

from omnisrc.train.stopping import stop_wished


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_is_a_wish_and_the_second_an_interrupt(number):
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt), stop_wished() as wished:
        assert not wished()
        os.kill(os.getpid(), number)
        assert wished()
        os.kill(os.getpid(), number)
    assert signal.getsignal(number) is before


def test_a_thread_cannot_be_asked_and_is_not_harmed():
    answers = []

    def body():
        with stop_wished() as wished:
            answers.append(wished())

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    assert answers == [False]
