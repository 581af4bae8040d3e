"""Flow that is made on the way against flow that was kept: the same fields, to the bit."""

import numpy as np
import pytest

from omnisrc.media.flow import brought_down, decode_levels, flow_chunk
from omnisrc.media.flow_parts import part_flow, part_pairs
from omnisrc.media.sampling import SampleFrames
from omnisrc.media.video import open_video
from tests.flow.moving_world import moving
from tests.media_files import video_bytes

HOW = {"method": "dis", "bound": 20.0, "short_side": 48, "quality": 90}


@pytest.mark.parametrize("form", ["jpeg", "png"])
def test_chosen_fields_of_windows_are_those_of_the_whole_video(form):
    data = video_bytes(moving((3, -2), 5, 20), fps=10)
    images = flow_chunk(data, (0, 0), 0, 99, form=form, **HOW).images
    kept = [brought_down(decode_levels(*images[at : at + 2]), 40) for at in range(0, len(images), 2)]
    assert len(kept) == 19 and kept[0].shape == (40, 40, 2)
    windows, sampling = [(0.5, 1.0), (1.5, 2.0), (1.9, 2.0), (3.0, 4.0)], SampleFrames(3, 2, test_mode=True)
    found = part_flow(data, windows, sampling, form=form, shown_side=40, pictures=True, **HOW)
    assert found.counts == [4, 4, 0, 0] and found.end == pytest.approx(2.0)  # five frames each, one, none
    wanted = [5, 7, 5, 15, 17, 15]  # a clip of three, two apart, goes round in four fields
    assert np.array_equal(found.fields, np.stack([kept[at] for at in wanted]))
    assert found.seconds == pytest.approx(np.array(wanted) / 10)
    with open_video(data) as video:
        assert np.array_equal(found.pictures, np.stack([brought_down(f, 40) for f in video.frames(wanted, 48)]))
        pairs = part_pairs(data, windows, sampling, short_side=48)
        assert np.array_equal(pairs.frames[pairs.firsts], video.frames(wanted, 48))
        assert np.array_equal(pairs.frames[pairs.firsts + 1], video.frames([at + 1 for at in wanted], 48))
    nothing = part_flow(data, windows[2:], sampling, form=form, shown_side=40, **HOW)
    assert nothing.counts == [0, 0] and len(nothing.fields) == len(nothing.pictures) == 0
