"""Several commands may create the SQLite store of one folder at the same moment."""

import sqlite3
import threading

from worker.settings import Settings
from worker.store.engine import make_engine


def test_a_connection_waits_while_another_process_writes_to_a_file_that_has_no_wal_yet(tmp_path):
    """SQLite itself does not wait there, whatever its busy time-out: it would be a deadlock with another reader."""
    config = Settings(data_dir=tmp_path)
    path = make_engine(config).url.database
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("CREATE TABLE one (n)")
    other.execute("BEGIN IMMEDIATE")
    other.execute("INSERT INTO one VALUES (1)")
    end = threading.Timer(0.2, other.execute, ["COMMIT"])
    end.start()
    engine = make_engine(config)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
    engine.dispose()
    end.join()
    other.close()
