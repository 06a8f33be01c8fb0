"""The fee of a first deployment: its estimate before, and the platform's own notice, which the user accepts."""

from __future__ import annotations

from chutes_wrappers.cli import output, prompts
from chutes_wrappers.core.errors import ConfigurationError, WrapperError
from chutes_wrappers.host.pricing import (
    HourlyPrice,
    describe_source,
    format_dollars,
    format_fee_estimate,
    parse_fee,
)


def report_accepted_fee(name: str, price: HourlyPrice | None) -> None:
    """Report what ``--accept-fee`` accepts before the platform names it: an estimate by ``price``."""
    if price is None:
        output.report(
            f"the first deployment of {name} costs a fee that only the platform knows: accepted without its amount"
        )
        return
    output.report(
        f"the first deployment of {name} costs about {format_fee_estimate(price)} once (estimate by {describe_source(price)}): "
        "accepted"
    )


def accept_fee_notice(name: str, notice: str) -> None:
    """Show the platform's ``notice`` and ask the user to accept the fee in it. Raises WrapperError if the user does not.

    Without a terminal it raises ConfigurationError, with the notice and the flag that accepts the fee.
    """
    fee = parse_fee(notice)
    amount = format_dollars(fee) if fee is not None else "the fee in the platform's notice"
    if not prompts.is_possible():
        raise ConfigurationError(
            f"the first deployment of {name} costs {amount} once, and was not accepted",
            where="the platform",
            evidence=notice,
            next_step="accept it with --accept-fee",
        )
    for line in notice.splitlines():
        output.show(f"  {line}")
    if not prompts.confirm(f"The first deployment of {name} costs {amount} once. Deploy it?"):
        raise WrapperError(
            f"{name} was not deployed: the fee was not accepted", next_step="run --deploy again to accept it"
        )
