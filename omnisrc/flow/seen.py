"""The flow that a recogniser is shown of a video that is in no cache: made as that which it was trained on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, NamedTuple

from omnisrc.config import build, near
from omnisrc.errors import UserError
from omnisrc.flow.estimators import Estimator, make_estimator
from omnisrc.flow.settings import METHODS, FlowSettings
from omnisrc.media.guard import GuardPool
from omnisrc.study import Study


class Seen(NamedTuple):
    """Who estimates, and a sentence where the flow is not what the recogniser was trained on, or that is not known."""

    estimate: Estimator
    note: str = ""


def flow_as_trained(study: Study, pool: GuardPool, told: str, meta: Mapping[str, Any], method: str = "") -> Seen:
    """The estimator for the recogniser `told`, of which a checkpoint says `meta`: method, bound and quantisation of its
    training, else those of the section `flow`; `method` is used in place of the one that is said.

    Raises:
        UserError: there is no such method, it is not to be had here, or what the checkpoint says of it is damaged.
    """
    if method and method not in METHODS:
        raise UserError(f"There is no method {method!r} of flow.{near(method, METHODS)}")
    said = dict(meta.get("flow") or {})
    own = study.section(FlowSettings)
    kept = {key: value for key, value in said.items() if key in asdict(own)}
    chosen = {"method": method} if method else {}
    settings = build(FlowSettings, {**asdict(own), **kept, **chosen}, f"of flow in {told}")
    estimate = make_estimator(settings, pool, study.models)
    return Seen(estimate, _note(told, said, estimate))


def _note(told: str, said: Mapping[str, Any], estimate: Estimator) -> str:
    facts = estimate.facts
    if not said:
        return (
            f"{told} does not say how its flow was made: it is shown {facts.method} with a bound of {facts.bound:g};"
            " change that by --flow-method and --set flow.bound=PIXELS."
        )
    for key in ("method", "weights_sha256"):
        if said.get(key, "") != getattr(facts, key):
            what = {"method": "flow by", "weights_sha256": "flow by RAFT with weights"}[key]
            return f"{told} was trained on {what} {said.get(key) or 'none'}, and is shown {getattr(facts, key)}."
    return ""
