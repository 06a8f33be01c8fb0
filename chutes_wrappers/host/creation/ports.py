"""On which ports an image's service listens, and what makes it listen where an instance lets it. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from chutes_wrappers.core import platform_rules
from chutes_wrappers.core.errors import ConfigurationError, UnsupportedImage
from chutes_wrappers.host.creation.image_config import ImageFacts
from chutes_wrappers.host.inspection import tcp_ports

_PORTS = range(1, 65536)
_MOST_PORTS = 10
_FLAG = r"(?<!\S)(?:--(?:http-)?port|--bind|--listen|-p|-b)"
_HERE = r"(?:0\.0\.0\.0|127\.0\.0\.1|localhost|\[::1?\]|\*|\+)?"
_SAID = re.compile(rf"{_FLAG}(?:\s+|=)(?:\S*:)?(\d{{2,5}})(?![\w.:-])")
_ADDRESSES = ("HOST", "BIND", "ADDR", "ADDRESS", "LISTEN", "URLS")
# Variables of these name the port of something that the service talks to.
_OTHER_SERVICES = frozenset({
    "DB", "DATABASE", "POSTGRES", "POSTGRESQL", "PG", "MYSQL", "MARIADB", "REDIS", "MONGO", "MONGODB", "RABBITMQ", "AMQP",
    "KAFKA", "MEMCACHED", "SMTP", "MAIL", "PROXY", "ELASTIC", "ELASTICSEARCH",
})  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Placement:
    """The ports on an instance; ``environment`` and ``argv`` make the service listen there, where the image's do not."""

    ports: tuple[int, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    argv: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def place(reference: str, image: ImageFacts, wanted: int | None) -> Placement:
    """Where the service is reached, at ``wanted`` if somebody says so.

    Ports that the platform keeps for itself come last, after the move that variables or arguments allow. Raises
    UnsupportedImage where nothing moves the only one, ConfigurationError when nothing tells any.
    """
    ports, notes = _named(reference, image, wanted)
    free = [port for port in ports if platform_rules.service_port_problem(port) is None]
    placed = Placement(ports=tuple(free), argv=image.argv, notes=notes)
    for port in ports:
        if port not in free:
            placed = _moved(placed, port, image, taken={*ports, *placed.ports})
    if not placed.ports:
        raise UnsupportedImage(
            f"{platform_rules.service_port_problem(ports[0])}, and nothing in the image's command or variables moves it",
            where=reference,
            next_step=f"let the service listen on {_free(ports[0], set(ports))} by its own settings (an image built FROM "
            "this one), then --create that",
        )
    return placed


def _named(reference: str, image: ImageFacts, wanted: int | None) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """The ports that the user, the image, or its command and variables tell, and what is to say of those left out."""
    if wanted is not None and wanted not in _PORTS:
        raise ConfigurationError(
            f"port {wanted} is not between 1 and 65535", where="--port", next_step="name the port that it serves"
        )
    exposed = tcp_ports(image.exposed)
    found = tuple(port for port in exposed if port in _PORTS)
    notes = tuple(f"EXPOSE {port} is no port: left out" for port in exposed if port not in _PORTS)
    if wanted is not None:
        return (wanted,), ()
    if len(found) > _MOST_PORTS:
        raise ConfigurationError(
            f"the image exposes {len(found)} ports", where=reference, next_step="say with --port which one serves"
        )
    if not found and (guess := _guess(image)) in _PORTS:
        found = (guess,)
    if not found:
        raise ConfigurationError(
            "the image does not say on which port it serves",
            where=reference,
            evidence="; ".join(notes) or None,
            next_step="say it with --port",
        )
    return found, notes


def _guess(image: ImageFacts) -> int:
    """The port that its command names, or else its variables, the one that is called PORT first; 0 where none does."""
    if match := _SAID.search(" ".join(image.argv)):
        return int(match[1])
    named = sorted(image.environment.items(), key=lambda pair: (pair[0] != "PORT", pair[0]))
    numbers = [value for name, value in named if _is_port(name) and re.fullmatch(r"[0-9]{1,5}", value)]
    addresses = [
        match[1] for name, value in named if _is_address(name) and (match := re.search(r":([0-9]{2,5})/?\Z", value))
    ]
    return int(next(iter(numbers + addresses), 0))


def _is_port(name: str) -> bool:
    words = name.upper().split("_")
    return "PORT" in (words[0], words[-1]) and not _OTHER_SERVICES.intersection(words)


def _is_address(name: str) -> bool:
    words = name.upper().split("_")
    return words[-1] in _ADDRESSES and not _OTHER_SERVICES.intersection(words)


def _moved(placed: Placement, port: int, image: ImageFacts, taken: set[int]) -> Placement:
    """``placed`` with ``port`` as well, moved; or with a note that it is left out."""
    problem, free = platform_rules.service_port_problem(port), _free(port, taken)
    environment = {**_moved_defaults(image.argv, port, free), **_moved_variables(image.environment, port, free)}
    argv = _moved_words(placed.argv, port, free)
    if not environment and argv == placed.argv:
        return replace(placed, notes=(*placed.notes, f"{problem}: left out"))
    return Placement(
        ports=(*placed.ports, free),
        environment={**placed.environment, **environment},
        argv=argv,
        notes=(*placed.notes, f"{problem}: the service is moved to port {free}"),
    )


def _moved_defaults(argv: tuple[str, ...], port: int, free: int) -> dict[str, str]:
    """Variables that a shell in the command takes the port from, and the image does not set: ``${PORT:-80}``."""
    return {name: str(free) for name in re.findall(rf"\$\{{(\w+):?-{port}\}}", " ".join(argv)) if _is_port(name)}


def _moved_variables(environment: Mapping[str, str], port: int, free: int) -> dict[str, str]:
    moved = {name: str(free) for name, value in environment.items() if _is_port(name) and value == str(port)}
    at = re.compile(rf"((?:https?://)?{_HERE}:){port}(/?)\Z")
    for name, value in environment.items():
        if _is_address(name) and (match := at.match(value)):
            moved[name] = f"{match[1]}{free}{match[2]}"
    return moved


def _moved_words(argv: tuple[str, ...], port: int, free: int) -> tuple[str, ...]:
    """The command with another port, where a flag for ports, or an address of this machine, has it; nothing else is a port."""
    value = re.compile(rf"(\S*:)?{port}\Z")
    flagged = re.compile(rf"({_FLAG}(?:\s+|=)(?:\S*:)?){port}(?![\w.:-])")
    at = re.compile(rf"((?<![^\s=/'\"]){_HERE}:){port}(?![\w.:-])")
    words: list[str] = []
    for before, word in zip(("", *argv), argv, strict=False):
        if re.fullmatch(_FLAG, before) and (match := value.match(word)):
            words.append(f"{match[1] or ''}{free}")
        else:  # a word may also be a whole command of a shell
            words.append(at.sub(rf"\g<1>{free}", flagged.sub(rf"\g<1>{free}", word)))
    return tuple(words)


def _free(port: int, taken: set[int]) -> int:
    wanted = 8000 + port if port < platform_rules.LOWEST_UNPRIVILEGED_PORT else 18000 + port % 1000
    return next(
        each
        for each in range(wanted, wanted + 100)
        if each not in taken and platform_rules.service_port_problem(each) is None
    )
