from pathlib import Path

from sqlalchemy import func, select

from db import models
from db.session import Database
from omnisrc.classes import load_class_list
from omnisrc.data.catalogue import class_names, record_class_list, recorded_class_list, study_class_list


def test_a_class_list_is_written_once_with_its_classes_and_parents(database: Database) -> None:
    gym = load_class_list("gym99")
    first = database.write(lambda session: record_class_list(session, gym))
    assert database.write(lambda session: record_class_list(session, gym)) == first

    def look(session):
        count = session.scalar(select(func.count()).select_from(models.ActionClass))
        edges = session.scalar(select(func.count()).select_from(models.ClassEdge))
        return count, edges, class_names(session, first)

    count, edges, names = database.read(look)
    assert (count, edges) == (99, 198)
    assert names == list(gym.names)


def test_a_recorded_list_is_read_back_with_its_hash(database: Database, tmp_path: Path) -> None:
    file = tmp_path / "mine.txt"
    file.write_text("golf\npour\nbee keeping\n")
    mine = load_class_list(file)
    database.write(lambda session: record_class_list(session, mine))

    def look(session):
        row = study_class_list(session)
        return recorded_class_list(session, row)

    found = database.read(look)
    assert (found.sha256, found.names) == (mine.sha256, mine.names)
    assert found.classes[2].tags == mine.classes[2].tags


def test_the_study_is_about_the_list_that_was_asked_of_the_web_last(database: Database) -> None:
    def fill(session):
        ids = [record_class_list(session, load_class_list(name)) for name in ("hmdb51", "ucf101")]
        golf = session.scalar(select(models.ActionClass.id).where(models.ActionClass.class_list_id == ids[0]).limit(1))
        newest = study_class_list(session).id
        session.add(models.Query(class_id=golf, provider="commons", kind="image", text="golf"))
        session.flush()
        return ids, newest, study_class_list(session).id

    ids, before, after = database.write(fill)
    assert before == ids[1] and after == ids[0]
