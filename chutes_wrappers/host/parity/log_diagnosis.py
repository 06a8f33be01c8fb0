"""Diagnosis of an instance's log: why a chute would fail on the platform. Pure.

The texts are about the platform, not about this machine. Each names a limit of an instance, and what to change.
"""

from __future__ import annotations

import posixpath
import re
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from chutes_wrappers.core import platform_checks, platform_rules
from chutes_wrappers.core.writable_paths import find_writable_path_problem, normalize_path
from chutes_wrappers.host.missing_settings import find_missing_setting
from chutes_wrappers.host.parity.sandbox_diagnosis import CODE_LINES, SANDBOX_FIXES, find_refused_call

_FIRST_EPHEMERAL_PORT = 32768
# The time of some patterns grows with the square of a line's length, and an image prints any line.
_LONGEST_LINE = 1000
_PATH = r"(?P<path>/[^\s'\"\u2018-\u201f`:,;)\]]+)"
_CACHE_FIX = (
    "use the files that are there, or replace them. Write a download to another name, and rename it when it is complete"
)
# Of the launcher (runtime/launcher.py), before a line of the service.
_SERVICE_END = re.compile(r"the service ended with (exit code|signal)")
_OWN_PREFIX = re.compile(r"^.*\[service\] ")
_FOLDER_WORDS = re.compile(r"(?i)\bmkdir|makedirs|(create|creating|make) (the )?(director|folder)")


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """Why the chute would fail on the platform, the log line that shows it, and what to change.

    A general one only says that there is a problem. Its line does not name the cause.
    """

    reason: str
    line: str
    fix: str
    is_general: bool = False

    def __str__(self) -> str:
        return f"{self.reason}: {self.fix}"


@dataclass(frozen=True, kw_only=True)
class _Rule:
    pattern: re.Pattern[str]
    reason: Callable[[re.Match[str]], str]
    fix: Callable[[re.Match[str]], str]
    is_general: bool = False


def diagnose(lines: Iterable[str]) -> list[Diagnosis]:
    """Return the diagnoses of a log's lines, each reason once, in the order of the lines. General ones only if there is no other."""
    diagnoses: dict[str, Diagnosis] = {}
    previous: deque[str] = deque(maxlen=CODE_LINES)
    lines = list(lines)
    for line in (each[:_LONGEST_LINE] for each in lines):
        diagnosis = _diagnose_line(line, previous)
        if diagnosis is not None:
            diagnoses.setdefault(diagnosis.reason, diagnosis)
        previous.append(line)
    causes = [diagnosis for diagnosis in diagnoses.values() if not diagnosis.is_general]
    return causes or _find_missing_setting(lines) or list(diagnoses.values())


def _find_missing_setting(lines: Sequence[str]) -> list[Diagnosis]:
    """Return the setting that a service lacked when it ended; other lines may be about the requests of callers."""
    has_ended = any(_SERVICE_END.search(line) for line in lines)
    missing = find_missing_setting(_OWN_PREFIX.sub("", line) for line in lines) if has_ended else None
    if missing is None:
        return []
    return [
        Diagnosis(
            reason=f"the service says that {missing.reason}", line=_shorten(missing.line), fix=missing.suggest_step("")
        )
    ]


def _diagnose_line(line: str, previous: Iterable[str]) -> Diagnosis | None:
    if refused := find_refused_call(line, previous):
        reason = f"the platform's sandbox refuses {refused}, to root as well"
        return Diagnosis(reason=reason, line=_shorten(line), fix=SANDBOX_FIXES[refused])
    for rule in _RULES:
        if match := rule.pattern.search(line):
            return Diagnosis(
                reason=rule.reason(match), line=_shorten(line), fix=rule.fix(match), is_general=rule.is_general
            )
    return None


def _shorten(line: str) -> str:
    return line.strip()[:300]


def diagnose_ports(expected: Sequence[int], listening: Iterable[int]) -> Diagnosis | None:
    """Return the diagnosis of a service that listens on other ports than ``expected``.

    None if it listens on all of ``expected``, or on no other port.
    """
    # The system chooses the port of a chute's loopback server.
    others = sorted(
        port
        for port in set(listening) - {*platform_rules.RESERVED_PORTS} - set(expected)
        if port < _FIRST_EPHEMERAL_PORT
    )
    missing = [port for port in expected if port not in set(listening)]
    if not missing or not others:
        return None
    open_ports, expected_ports = ", ".join(map(str, others)), ", ".join(map(str, missing))
    return Diagnosis(
        reason=f"the service listens on port {open_ports}, not on {expected_ports}",
        line="",
        fix="correct SERVICE_PORTS, or move the service with its own variable in CHUTE_ENV",
    )


def _return_text(text: str) -> Callable[[re.Match[str]], str]:
    return lambda match: text


def _format_not_writable(match: re.Match[str]) -> str:
    return f"{match['path']} is not writable for uid {platform_rules.INSTANCE_UID}, which an instance runs as"


def _format_not_empty(match: re.Match[str]) -> str:
    return f"{match['path']} is not empty: /cache outlives instances, and may hold what an older version or a broken start left"


def _suggest_writable_path(match: re.Match[str]) -> str:
    path = _find_folder(normalize_path(match["path"].rstrip(".")), is_folder=bool(_FOLDER_WORDS.search(match.string)))
    if path is None:
        return "configure the service to use another folder, such as /tmp or /cache"
    return f"add it to build_wrapper_image(writable_paths=({path!r},)), or configure the service to use /tmp or /cache"


def _find_folder(path: str, *, is_folder: bool) -> str | None:
    """Return the folder that must be writable for ``path``; None if it would be the system's."""
    folder = posixpath.dirname(path)
    is_file = bool(posixpath.splitext(path)[1])
    if not is_folder and find_writable_path_problem(folder) is None:
        return folder
    # In a folder of the system, only a folder can become writable.
    return None if (is_file and not is_folder) or find_writable_path_problem(path) else path


_RULES: tuple[_Rule, ...] = (
    _Rule(
        # Of our own engine (container_engine/docker_errors.py), in the reason why an instance ended.
        pattern=re.compile(r": the Docker engine stopped responding$"),
        reason=_return_text("the Docker engine of this machine stopped, so this says nothing about the chute"),
        fix=_return_text("start the engine, and run the command again"),
    ),
    _Rule(
        pattern=re.compile(r"\bevicted: it wrote (?P<size>[\d.e+]+ GiB) .* more than the (?P<limit>[\d.e+]+ GiB)"),
        reason=lambda match: f"the instance was evicted: it wrote {match['size']} outside of /cache, and a pod's limit is {match['limit']}",
        fix=_return_text("write large files to /cache, delete temporary files, or add the files to the image"),
    ),
    _Rule(
        pattern=re.compile(r"\breadiness probe failed \(?(?P<count>\d+)"),
        reason=_return_text(f"the readiness probe failed: nothing on the logging port responded within {platform_rules.PROBE_TIMEOUT_S:g} s"),
        fix=_return_text("move code that holds the interpreter (long loops, C code that keeps the GIL) to another process, such as the service's"),
    ),
    _Rule(
        pattern=re.compile(r"(?i)(?:file exists|already exists|not empty|\bEEXIST\b|\bENOTEMPTY\b)[^/]*(?P<path>/cache(?:/[^\s'\"\u2018-\u201f`:,;)\]]*)?)"),
        reason=_format_not_empty,
        fix=_return_text(_CACHE_FIX),
    ),
    _Rule(
        pattern=re.compile(r"(?i)(?<![\w/])(?P<path>/cache(?:/[^\s'\"\u2018-\u201f`:,;)\]]*)?)['\"\u2019]?:? .*(?:file exists|already exists|not empty)"),
        reason=_format_not_empty,
        fix=_return_text(_CACHE_FIX),
    ),
    _Rule(
        pattern=re.compile(r"(?i)\b(must|needs? to|has to|requires?|should) (be )?(run(ning)? )?(as |by )?(the )?(root|superuser)\b|are you root|run as root"),
        reason=_return_text(f"the service needs root, and an instance runs as uid {platform_rules.INSTANCE_UID}"),
        fix=_return_text("configure it to run without root, or start its worker directly with ENTRYPOINT"),
    ),
    _Rule(
        pattern=re.compile(r"(?i)(setuid|setgid|setgroups|initgroups|chown|sched_setaffinity|setpriority)\b.*(operation not permitted|\bEPERM\b)"),
        reason=_return_text(f"the service needs root, and an instance runs as uid {platform_rules.INSTANCE_UID}"),
        fix=_return_text("configure it to run without changing users or owners, or start its worker directly with ENTRYPOINT"),
    ),
    _Rule(
        pattern=re.compile(r"(?i)(bind|listen).*(permission denied|EACCES|\(13\b)"),
        reason=_return_text(f"the service needs a port below {platform_rules.MIN_UNPRIVILEGED_PORT}, which uid {platform_rules.INSTANCE_UID} may not open"),
        fix=_return_text("move it to a port above 1024 with its own variable in CHUTE_ENV, and name that in SERVICE_PORTS"),
    ),
    _Rule(
        pattern=re.compile(rf"(?i)^(?=.*(EADDRINUSE|address (is )?already in use)).*\b(?P<port>{'|'.join(map(str, platform_rules.RESERVED_PORTS))})\b"),
        reason=lambda match: platform_checks.find_reserved_port_problem(int(match["port"])) or "",
        fix=_return_text("move the service to another port with its own variable in CHUTE_ENV, and name that in SERVICE_PORTS"),
    ),
    _Rule(
        pattern=re.compile(r"(?i)(\berrno 98\]|\(98:|\bbind\b[^0-9]*|\berror:|^)\s*address (is )?already in use\)?\s*$"),
        reason=_return_text(f"the service needs a port that is in use: {', '.join(map(str, platform_rules.RESERVED_PORTS))} belong to the chute"),
        fix=_return_text("move the service to another port with its own variable in CHUTE_ENV, and name that in SERVICE_PORTS"),
    ),
    _Rule(
        pattern=re.compile(rf"(?i)(permission denied|read-only file system|EACCES|EROFS|not writable|unable to create|cannot create)[^/]*{_PATH}"),
        reason=_format_not_writable,
        fix=_suggest_writable_path,
    ),
    _Rule(
        pattern=re.compile(rf"(?i){_PATH}['\"]?[:)\] ]+.*(permission denied|read-only file system)"),
        reason=_format_not_writable,
        fix=_suggest_writable_path,
    ),
    _Rule(
        pattern=re.compile(r"(?i)name or service not known|temporary failure in name resolution|could not resolve host|network is unreachable|no route to host|failed to resolve|nodename nor servname|ENETUNREACH|EAI_AGAIN|getaddrinfo failed"),
        reason=_return_text("the service needs the network, which is closed once an instance is active"),
        fix=_return_text("fetch what it needs before activation (in a start-up hook, or in the image), or set allow_external_egress=True on the Chute"),
    ),
    _Rule(
        pattern=re.compile(r"""can't open file ['"](?P<path>[^'"]+\.pyc)['"]: \[Errno 2\]"""),
        reason=lambda match: f"{match['path']} is not on the instance: the forge deletes every .pyc file",
        fix=_return_text("add its .py file to the base image, and start that with ENTRYPOINT"),
    ),
    _Rule(
        pattern=re.compile(rf"(FileNotFoundError|No such file or directory)[^/]*{_PATH}"),
        reason=lambda match: f"{match['path']} is not in the image",
        fix=_return_text("an instance has the module and the image only: add the file with image.add(), and build again"),
    ),
    _Rule(
        pattern=re.compile(r"(?:FileNotFoundError|No such file or directory)[^'\"]*['\"](?!No such file)(?P<path>[^'\"]+)['\"]"),
        reason=lambda match: f"{match['path']} is not in the image",
        fix=_return_text("an instance has the module and the image only: add the file with image.add(), and build again"),
    ),
    _Rule(
        pattern=re.compile(r"ModuleNotFoundError: No module named ['\"](?P<name>[^'\"]+)['\"]"),
        reason=lambda match: f"the Python package {match['name']} is not in the image",
        fix=_return_text("the chute uses a separate Python: install it with image.run_command('pip install …'), and build again"),
    ),
    _Rule(
        pattern=re.compile(r"(?i)\[errno 1\] operation not permitted|: operation not permitted\W*$|\bEPERM\b"),
        reason=_return_text(f"the service makes a system call that uid {platform_rules.INSTANCE_UID}, or the platform's sandbox, may not make"),
        fix=_return_text("find the call with its debug log. An instance cannot change users or owners; its sandbox refuses chroot, mount, namespaces, ptrace, io_uring, keyctl and bpf"),
        is_general=True,
    ),
    _Rule(
        pattern=re.compile(r"(?i)\bexit code 137\b|signal SIGKILL|out of memory|\bOOM\b"),
        reason=_return_text("it was killed (exit code 137): it needs more memory than there is or, on the platform, a check of the guard failed"),
        fix=_return_text("reduce its memory (smaller model, fewer workers); for the guard see --doctor, and keep PID 1's command line and HF_HOME"),
    ),
    _Rule(
        is_general=True,
        pattern=re.compile(r"(?i)the service (?:ended|exited|stopped)[^.]*"),
        reason=_return_text("the service ended by itself while the instance was running"),
        fix=_return_text(f"read its last lines in the log; without its service an instance fails every call, and {platform_rules.FAILURES_TO_DISABLE} failures in a row disable it"),
    ),
)  # fmt: skip
