"""Class lists: what the studies are about, and what is asked of the web for each class."""

from omnisrc.classes.load import available, class_list_of, load_class_list
from omnisrc.classes.model import ActionClass, ClassList, Level, Parent, label_key, names_sha256

__all__ = [
    "ActionClass",
    "ClassList",
    "Level",
    "Parent",
    "available",
    "class_list_of",
    "label_key",
    "load_class_list",
    "names_sha256",
]
