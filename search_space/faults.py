"""Faults of the machine in one line: memory, disk, open files, database, folders that were removed.

Errors are recognised by type names and messages, so that no heavy library is imported here.
"""

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .errors import BneckError, MachineError, first_line

MEMORY_REMEDY = "use fewer --workers, a smaller --batch-size or a lower resolution"
DISK_REMEDY = "free some space"
FILES_REMEDY = "raise the limit (ulimit -n) or use fewer --workers"
PROCESSES_REMEDY = "raise the limit (ulimit -u) or use fewer --workers"
SHARED_MEMORY_REMEDY = "enlarge /dev/shm or use fewer --workers"
MAX_DETAIL = 200

# parts of messages of torch, CUDA, onnxruntime, safetensors, SQLite and the C library, in lower case
MESSAGES = {
    ("cuda out of memory", "cuda error: out of memory", "cublas_status_alloc_failed"): (
        f"out of GPU memory; {MEMORY_REMEDY}"
    ),
    (
        *("can't allocate memory", "cannot allocate memory", "std::bad_alloc", "bad allocation"),
        *("failed to allocate memory", "unable to allocate"),
    ): f"out of memory; {MEMORY_REMEDY}",
    ("can't start new thread",): f"too many threads or processes; {PROCESSES_REMEDY}",
    ("unable to open shared memory", "out of shared memory", "unable to write to file </torch"): (
        f"shared memory is full; {SHARED_MEMORY_REMEDY}"
    ),
    ("too many open files", "received 0 items of ancdata"): f"too many open files; {FILES_REMEDY}",
    ("no space left on device", "disk is full", "os error 28"): f"the disk is full; {DISK_REMEDY}",
}
DATABASE_MESSAGES = {
    ("database is locked", "table is locked"): "the study's database is locked by another program; close it",
    ("disk i/o error", "readonly database", "unable to open database file"): (
        "the study's database cannot be written: it was moved or removed, or may not be written there"
    ),
    ("malformed", "file is not a database"): "the study's database is damaged; restore it from a backup",
}
ERRNOS = {
    errno.ENOSPC: f"the disk is full; {DISK_REMEDY}",
    errno.EDQUOT: f"the disk quota is used up; {DISK_REMEDY}",
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "permission denied",
    errno.EPERM: "operation not permitted",
    errno.EMFILE: f"too many open files; {FILES_REMEDY}",
    errno.ENFILE: f"too many open files; {FILES_REMEDY}",
    errno.ENOMEM: f"out of memory; {MEMORY_REMEDY}",
    errno.EAGAIN: f"too many threads or processes; {PROCESSES_REMEDY}",
    errno.EIO: "input/output error of the disk",
    errno.ESTALE: "the network file system dropped the file",
}
MEMORY_ERRORS = {"builtins.MemoryError", "torch.OutOfMemoryError"}
DATABASE_ERRORS = {
    *("sqlite3.OperationalError", "sqlalchemy.exc.OperationalError", "sqlalchemy.exc.InterfaceError"),
    *("sqlalchemy.exc.DisconnectionError", "sqlalchemy.exc.TimeoutError", "psycopg.OperationalError"),
    *("psycopg2.OperationalError", "redis.exceptions.ConnectionError", "redis.exceptions.TimeoutError"),
    "grpc.RpcError",
}
DATABASE_PACKAGES = ("sqlalchemy.", "sqlite3.")
DEAD_WORKER = "concurrent.futures.process.BrokenProcessPool"


def machine_fault(error: BaseException) -> str | None:
    """A fault of the machine or of a database server in one line, with its remedy; None for other errors.

    The errors that caused this one are looked at too, unless bneck explains it already.
    """
    if isinstance(error, BneckError):
        return str(error) if isinstance(error, MachineError) else None
    cause: BaseException | None = error
    while cause is not None:
        if fault := _fault(cause):
            return fault
        cause = cause.__cause__
    return None


def is_out_of_memory(error: BaseException) -> bool:
    """Whether main or GPU memory ran out."""
    return (machine_fault(error) or "").startswith(("out of memory", "out of GPU memory"))


@contextmanager
def explained_faults(
    resume: str = "", kept: Callable[[], str] | None = None, folder: Path | None = None
) -> Iterator[None]:
    """Turn faults of the machine into a `MachineError` that says what is kept and how to resume.

    Another unexpected error gets the same as a note below its traceback.

    Args:
        resume: the command that resumes.
        kept: what is finished, such as `3 of 10 epochs`.
        folder: where it is kept.
    Raises:
        MachineError: the machine failed.
    """
    try:
        yield
    except Exception as error:
        fault = machine_fault(error)
        if fault is None and isinstance(error, BneckError):
            raise
        advice = _advice(resume, kept, folder)
        if fault is None:
            if advice:
                error.add_note(advice)
            raise
        raise MachineError("; ".join(filter(None, (fault, advice)))) from error


def _advice(resume: str, kept: Callable[[], str] | None, folder: Path | None) -> str:
    if folder and not folder.exists():
        return f"{folder} was removed in the meantime"
    words = []
    with suppress(Exception):  # a full disk or a stopped server may hide it
        words += [f"kept: {kept()}"] if kept else []
    return "; ".join([*words, *([f"resume with: {resume}"] if resume else [])])


def _fault(error: BaseException) -> str | None:
    if isinstance(error, BneckError):
        return None
    if isinstance(error, OSError) and (fault := _os_fault(error)):
        return fault
    names = {f"{kind.__module__}.{kind.__qualname__}" for kind in type(error).__mro__}
    text = str(error).lower()
    of_database = any(name.startswith(DATABASE_PACKAGES) for name in names)
    for parts, fault in (MESSAGES | DATABASE_MESSAGES if of_database else MESSAGES).items():
        if any(part in text for part in parts):
            return fault
    if names & MEMORY_ERRORS:
        return f"out of memory; {MEMORY_REMEDY}"
    if names & DATABASE_ERRORS:
        return f"the study's database does not answer: {first_line(_original(error))[:MAX_DETAIL]}"
    if DEAD_WORKER in names:
        return f"a worker process died (out of memory?); {MEMORY_REMEDY}"
    return None


def _original(error: BaseException) -> Exception:
    """The driver's error in one of SQLAlchemy, whose own message goes on with the statement."""
    original = getattr(error, "orig", None)
    return original if isinstance(original, Exception) else Exception(str(error))


def _os_fault(error: OSError) -> str | None:
    place = f"{error.filename}: " if error.filename else ""
    if error.errno in ERRNOS:
        return place + ERRNOS[error.errno]
    return f"{place}{error.strerror}" if place and error.strerror else None
