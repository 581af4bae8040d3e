"""Mini copies of target data sets, in the layouts of the real ones. The files are not videos: importers read lists."""

import os
from pathlib import Path


def touch(path: Path, content: bytes | str | None = None) -> Path:
    """A file with this content, or with some of its own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = str(path) if content is None else content
    path.write_bytes(os.fsencode(content) if isinstance(content, str) else content)
    return path


def ucf101(root: Path, *, folders: bool = True) -> Path:
    """Three classes, groups 1 to 7 in test and 8 to 10 in train, as in split 1. The lists lie beside the videos."""
    lists = root / "ucfTrainTestlist"
    classes = {"ApplyEyeMakeup": (1, "ApplyEyeMakeup"), "HandstandPushups": (37, "HandStandPushups"),
               "YoYo": (101, "YoYo")}  # fmt: skip
    train, test = [], []
    for name, (number, stem) in classes.items():
        for group in range(1, 11):
            for clip in (1, 2):
                file = f"v_{stem}_g{group:02d}_c{clip:02d}.avi"
                touch(root / "UCF-101" / (f"{name}/{file}" if folders else file))
                test.append(f"{name}/{file}") if group <= 7 else train.append(f"{name}/{file} {number}")
    touch(lists / "classInd.txt", "".join(f"{number} {name}\n" for name, (number, _) in classes.items()))
    touch(lists / "trainlist01.txt", "\r\n".join(train) + "\r\n")
    touch(lists / "testlist01.txt", "\n".join(test) + "\n")
    return root / "UCF-101"


def hmdb51(root: Path) -> Path:
    """Two classes, with train, test and unused clips, two clips to a source, and names as wild as the real."""
    for label in ("brush_hair", "ride_bike"):
        sources = {"April_09": 1, "#437_How_To_Ride_A_Bike": 1, "(HQ)_Rock&Roll!": 2, "Trumanshow": 0}
        lines = []
        for source, tag in sources.items():
            for i in (0, 1):
                file = f"{source}_{label}_u_cm_np{12 if i else 1}_ba_goo_{i}.avi"
                touch(root / "hmdb51" / label / file)
                lines.append(f"{file} {tag} \n")
        touch(root / "testTrainMulti_7030_splits" / f"{label}_test_split1.txt", "".join(lines))
    return root / "hmdb51"


KINETICS_HEADER = "label,youtube_id,time_start,time_end,split"


def kinetics(root: Path) -> Path:
    """Two classes: clips in label folders, one only as an untrimmed video, one gone from the web."""
    touch(root / "train" / "bee_keeping" / "-AbCdEfGhIj_000004_000014.mp4")
    touch(root / "train" / "bee_keeping" / "-aBcDeFgHiJ_000004_000014.webm")
    touch(root / "train" / "massaging_person's_head" / "0123456789_.mkv")
    touch(root / "val" / "bee_keeping" / "zzzzzzzzzzz_000100_000110.mp4")
    rows = [
        "bee keeping,-AbCdEfGhIj,4,14,train,0",
        "bee keeping,-aBcDeFgHiJ,4,14,train,0",
        "massaging person's head,0123456789_,33,43,train,0",
        "bee keeping,gone_______,0,10,train,0",
    ]
    touch(root / "annotations" / "kinetics_train.csv", "\n".join([KINETICS_HEADER + ",is_cc", *rows]) + "\n")
    touch(
        root / "annotations" / "kinetics_val.csv",
        f'{KINETICS_HEADER}\n"bee keeping",zzzzzzzzzzz,100,110,validate\n',
    )
    touch(root / "annotations" / "kinetics_test.csv", "youtube_id,time_start,time_end,split\nyyyyyyyyyyy,5,15,test\n")
    return root
