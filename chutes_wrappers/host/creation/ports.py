"""Ports of an image's service, and the variables and arguments that move reserved ports. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from chutes_wrappers.core import platform_checks
from chutes_wrappers.core.errors import ConfigurationError, UnsupportedImage
from chutes_wrappers.core.overruled_rules import is_overruled, refuse
from chutes_wrappers.host.creation.image_config import ImageFacts
from chutes_wrappers.host.inspection import parse_tcp_ports

_VALID_PORTS = range(1, 65536)
_MAX_PORTS = 10
_PORT_FLAG = r"(?<!\S)(?:--(?:http-)?port|--bind|--listen|-p|-b)"
_LOCAL_HOST = r"(?:0\.0\.0\.0|127\.0\.0\.1|localhost|\[::1?\]|\*|\+)?"
_PORT_ARGUMENT = re.compile(rf"{_PORT_FLAG}(?:\s+|=)(?:\S*:)?(\d{{2,5}})(?![\w.:-])")
_ADDRESS_WORDS = ("HOST", "BIND", "ADDR", "ADDRESS", "LISTEN", "URLS")
# Variables with these words contain the port of another service, to which this one connects.
_OTHER_SERVICE_WORDS = frozenset({
    "DB", "DATABASE", "POSTGRES", "POSTGRESQL", "PG", "MYSQL", "MARIADB", "REDIS", "MONGO", "MONGODB", "RABBITMQ", "AMQP",
    "KAFKA", "MEMCACHED", "SMTP", "MAIL", "PROXY", "ELASTIC", "ELASTICSEARCH",
})  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Placement:
    """The ports on an instance, with the ``environment`` and ``argv`` that move the service to them."""

    ports: tuple[int, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    argv: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def place_ports(reference: str, image: ImageFacts, requested_port: int | None) -> Placement:
    """Return the ports of the service: ``requested_port``, or else those that the image declares.

    Ports that the platform reserves are moved with variables or arguments of the image, and come last. Raises
    UnsupportedImage when the only port cannot be moved, ConfigurationError when no port is found.
    """
    ports, notes = _find_ports(reference, image, requested_port)
    usable_ports = [port for port in ports if not _is_refused(port)]
    placement = Placement(ports=tuple(usable_ports), argv=image.argv, notes=notes)
    for port in ports:
        if port not in usable_ports:
            placement = _move_port(placement, port, image, used_ports={*ports, *placement.ports})
    if not placement.ports:
        problem = UnsupportedImage(
            f"{platform_checks.find_service_port_problem(ports[0])}, and no argument or variable of the image changes it",
            where=reference,
            next_step=f"build an image FROM this one whose service listens on {_find_free_port(ports[0], set(ports))}, then "
            "run --create with that image",
        )
        refuse("service-port", problem)
    return placement


def _is_refused(port: int) -> bool:
    problem = platform_checks.find_service_port_problem(port)
    return problem is not None and not is_overruled("service-port", problem)


def _find_ports(
    reference: str, image: ImageFacts, requested_port: int | None
) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Return the ports from the user, EXPOSE, or the command and variables; and notes on ports that are left out."""
    if requested_port is not None and requested_port not in _VALID_PORTS:
        raise ConfigurationError(
            f"port {requested_port} is not between 1 and 65535",
            where="--port",
            next_step="set the port that the service listens on",
        )
    exposed = parse_tcp_ports(image.exposed)
    ports = tuple(port for port in exposed if port in _VALID_PORTS)
    notes = tuple(f"EXPOSE {port} is not a valid port: left out" for port in exposed if port not in _VALID_PORTS)
    if requested_port is not None:
        return (requested_port,), ()
    if len(ports) > _MAX_PORTS:
        raise ConfigurationError(
            f"the image exposes {len(ports)} ports",
            where=reference,
            next_step="set the port of the service with --port",
        )
    if not ports and (guessed_port := _guess_port(image)) in _VALID_PORTS:
        ports = (guessed_port,)
    if not ports:
        raise ConfigurationError(
            "the image does not declare the port of its service",
            where=reference,
            evidence="; ".join(notes) or None,
            next_step="set the port with --port",
        )
    return ports, notes


def _guess_port(image: ImageFacts) -> int:
    """Return the port in the image's command, or else in its variables (PORT first); 0 when there is none."""
    if match := _PORT_ARGUMENT.search(" ".join(image.argv)):
        return int(match[1])
    variables = sorted(image.environment.items(), key=lambda pair: (pair[0] != "PORT", pair[0]))
    numbers = [value for name, value in variables if _is_port_variable(name) and re.fullmatch(r"[0-9]{1,5}", value)]
    addresses = [
        match[1]
        for name, value in variables
        if _is_address_variable(name) and (match := re.search(r":([0-9]{2,5})/?\Z", value))
    ]
    return int(next(iter(numbers + addresses), 0))


def _is_port_variable(name: str) -> bool:
    words = name.upper().split("_")
    return "PORT" in (words[0], words[-1]) and not _OTHER_SERVICE_WORDS.intersection(words)


def _is_address_variable(name: str) -> bool:
    words = name.upper().split("_")
    return words[-1] in _ADDRESS_WORDS and not _OTHER_SERVICE_WORDS.intersection(words)


def _move_port(placement: Placement, port: int, image: ImageFacts, used_ports: set[int]) -> Placement:
    """Return ``placement`` with ``port`` added on a free port, or with a note that it is left out."""
    problem, free_port = platform_checks.find_service_port_problem(port), _find_free_port(port, used_ports)
    environment = {
        **_move_shell_defaults(image.argv, port, free_port),
        **_move_variables(image.environment, port, free_port),
    }
    argv = _move_arguments(placement.argv, port, free_port)
    if not environment and argv == placement.argv:
        return replace(placement, notes=(*placement.notes, f"{problem}: left out"))
    return Placement(
        ports=(*placement.ports, free_port),
        environment={**placement.environment, **environment},
        argv=argv,
        notes=(*placement.notes, f"{problem}: the service is moved to port {free_port}"),
    )


def _move_shell_defaults(argv: tuple[str, ...], port: int, free_port: int) -> dict[str, str]:
    """Return variables with a default port in a shell command, which the image does not set: ``${PORT:-80}``."""
    return {
        name: str(free_port)
        for name in re.findall(rf"\$\{{(\w+):?-{port}\}}", " ".join(argv))
        if _is_port_variable(name)
    }


def _move_variables(environment: Mapping[str, str], port: int, free_port: int) -> dict[str, str]:
    changes = {
        name: str(free_port) for name, value in environment.items() if _is_port_variable(name) and value == str(port)
    }
    local_address = re.compile(rf"((?:https?://)?{_LOCAL_HOST}:){port}(/?)\Z")
    for name, value in environment.items():
        if _is_address_variable(name) and (match := local_address.match(value)):
            changes[name] = f"{match[1]}{free_port}{match[2]}"
    return changes


def _move_arguments(argv: tuple[str, ...], port: int, free_port: int) -> tuple[str, ...]:
    """Return the command with the new port, replaced only after a port flag or in a local address."""
    value = re.compile(rf"(\S*:)?{port}\Z")
    flag_with_value = re.compile(rf"({_PORT_FLAG}(?:\s+|=)(?:\S*:)?){port}(?![\w.:-])")
    local_address = re.compile(rf"((?<![^\s=/'\"]){_LOCAL_HOST}:){port}(?![\w.:-])")
    words: list[str] = []
    for previous_word, word in zip(("", *argv), argv, strict=False):
        if re.fullmatch(_PORT_FLAG, previous_word) and (match := value.match(word)):
            words.append(f"{match[1] or ''}{free_port}")
        else:  # a word may also be a complete shell command
            words.append(local_address.sub(rf"\g<1>{free_port}", flag_with_value.sub(rf"\g<1>{free_port}", word)))
    return tuple(words)


def _find_free_port(port: int, used_ports: set[int]) -> int:
    first_candidate = platform_checks.suggest_service_port(port)
    return next(
        candidate
        for candidate in range(first_candidate, first_candidate + 100)
        if candidate not in used_ports and platform_checks.find_service_port_problem(candidate) is None
    )
