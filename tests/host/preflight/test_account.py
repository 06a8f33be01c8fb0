from __future__ import annotations

import pytest

from chutes_wrappers.host.platform_api.objects import AccountInfo, ImageInfo
from chutes_wrappers.host.preflight.account import find_deployment_problems, find_replacement_problems

from .module_texts import assert_one_problem

IMAGE = ImageInfo(
    image_id="i", name="case", tag="v1", status="built and pushed", public=False, owner="tester", created_at=None
)


@pytest.mark.parametrize(
    ("fee", "balance", "message"),
    [
        (5.4, 5.4, "costs $5.40 once, and the balance must be more than $5.40: it is $5.40"),
        (5.4, 5.41, None),
        (None, 0.0, "the balance must be more than $0.00: it is $0.00"),  # an update, or a price that is not known
        (None, -1.0, "the balance must be more than $0.00: it is $-1.00"),
        (None, 0.01, None),
        (5.4, None, None),
    ],
)
def test_the_balance_must_be_more_than_the_fee(fee: float | None, balance: float | None, message: str | None) -> None:
    account = AccountInfo(
        username="tester", user_id="u", balance=balance, payment_address="5Pay", permissions=(), may_publish=False
    )
    problems = [*find_deployment_problems(account, IMAGE, reference="case:v1", module="m", public=False, fee=fee)]
    if message is None:
        assert problems == []
    else:
        assert_one_problem(problems, message, "5Pay")


def test_a_name_that_the_platform_would_take_for_another_chute_is_a_problem() -> None:
    others = ["my-chat", "my_chat2", "other"]
    assert_one_problem([*find_replacement_problems("my_chat", others)], "'my_chat'", "'my-chat'")
    assert_one_problem([*find_replacement_problems("OTHER", others)], "'OTHER'", "'other'")
    assert [*find_replacement_problems("my-chat2", others)] == []
