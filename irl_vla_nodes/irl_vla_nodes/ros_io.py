"""Where the node meets ROS: topics as CDR bytes in and out, and the qualities of service.

Inlets can be drained: whatever has arrived is taken before a step, so that no step runs on less
than what the car knows, whichever topic the executor happened to serve first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from operator import itemgetter
from typing import Any

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from rosidl_runtime_py.utilities import get_message

from irl_vla.drive.history import EgoHistory
from irl_vla.messages.calibration import Calibration
from irl_vla.messages.events import Event, EventReader, Notice, NoticeKind
from irl_vla.messages.motion_source import MotionKind, MotionSource
from irl_vla.messages.records import Record, StoredTopic
from irl_vla.messages.tf_tree import TransformTree
from irl_vla.messages.topics import INTENT, ODOMETRY, TF_TYPES, ChosenTopics
from irl_vla.types import InputError
from irl_vla_nodes.convert import cdr
from irl_vla_nodes.params import EgoParams


def qos(depth: int, *, reliable: bool = True, latched: bool = False) -> QoSProfile:
    """Keep the last `depth`. latched: late subscribers get the last ones too."""
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=depth,
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
    )


HANDLES = qos(16)  # between our nodes
LATCHED = qos(100, latched=True)
MOTION_DEPTH = 100  # odometry that may wait while networks run: 1 s at 100 Hz
SHOWN = qos(1)  # for eyes; reliable, because RViz asks for that


def installed(msgtype: str) -> type | None:
    """The class of a message, or None where its package is not installed."""
    try:
        return get_message(msgtype)
    except (ModuleNotFoundError, AttributeError):
        return None


class RawSubscription:
    """A subscription whose messages are handed on as bytes. One that `take` refuses with an
    InputError is dropped, with the reason."""

    def __init__(
        self, node: Any, msgtype: str, topic: str, profile: QoSProfile,
        take: Callable[[bytes], None],
    ) -> None:  # fmt: skip
        def guarded(data: bytes) -> None:
            try:
                take(data)
            except InputError as error:
                node.dropped(topic, str(error))

        self._take = guarded
        kind = get_message(msgtype)
        self._subscription = node.create_subscription(kind, topic, guarded, profile, raw=True)

    def close(self, node: Any) -> None:
        """Hear it no more."""
        node.destroy_subscription(self._subscription)

    def waiting(self) -> Iterator[tuple[int, Callable[[bytes], None], bytes]]:
        """What has arrived and was not handed on yet: when it was sent [ns], to whom, and what.
        (Cyclone's time of reception is that of taking it from here.)"""
        subscription = self._subscription
        with subscription.handle:
            while True:
                got = subscription.handle.take_message(subscription.msg_type, True)
                if got is None:
                    return
                yield got[1]["source_timestamp"], self._take, bytes(got[0])


def drain(inlets: Sequence[RawSubscription]) -> None:
    """Take everything that has arrived, in the order of sending: topic by topic, a camera's third
    picture would come before the first one of its neighbour, and a late neighbour looks dead."""
    waiting = [entry for inlet in inlets for entry in inlet.waiting()]
    for _, take, data in sorted(waiting, key=itemgetter(0)):
        take(data)


class ManagedPublisher:
    """A managed publisher: silent until the node is active."""

    def __init__(self, node: Any, msgtype: str, topic: str, profile: QoSProfile) -> None:
        self._publisher = node.create_lifecycle_publisher(get_message(msgtype), topic, profile)

    def publish(self, message: Any) -> None:
        """A message of `irl_vla.messages.messages`."""
        if self._publisher.is_activated:
            self._publisher.publish(bytes(cdr(message)))

    @property
    def is_wanted(self) -> bool:
        """Whether anybody listens."""
        return bool(self._publisher.get_subscription_count())


class EgoInbox:
    """Odometry, tf and intent -> values, by the same reader as at the desk. Odometry that cannot be
    placed is told to the history, so that a refusal names the cause."""

    def __init__(
        self,
        node: Any,
        params: EgoParams,
        on_event: Callable[[Event], None],
        history: EgoHistory,
        intent_topic: str = "",
    ) -> None:
        from_tf = not params.odometry_topic
        kinds = {params.tf_static_topic: TF_TYPES[0]}
        if from_tf:
            kinds[params.tf_topic] = TF_TYPES[0]
        else:
            kinds[params.odometry_topic] = ODOMETRY
        if intent_topic:
            kinds[intent_topic] = INTENT
        chosen = ChosenTopics(
            cameras={}, odometry=params.odometry_topic or None,
            tf=(params.tf_topic,) if from_tf else (), tf_static=(params.tf_static_topic,),
            intent=intent_topic or None, boxes=None, base_frame=params.base_frame, why={},
        )  # fmt: skip
        stored = {topic: StoredTopic(topic, kind) for topic, kind in kinds.items()}
        calibration = Calibration(TransformTree(), params.base_frame)
        kind = MotionKind.TF if from_tf else MotionKind.ODOMETRY
        source = MotionSource(kind, params.tf_topic if from_tf else params.odometry_topic)
        self._reader = EventReader(stored, chosen, calibration, source, every=True)
        self._node, self._on_event, self._history = node, on_event, history
        self.inlets = [self._inlet(topic, kind, params) for topic, kind in kinds.items()]

    def _inlet(self, topic: str, kind: str, params: EgoParams) -> RawSubscription:
        profile = qos(MOTION_DEPTH, reliable=params.reliable)
        if topic == params.tf_static_topic:
            profile = LATCHED

        def take(data: bytes) -> None:
            for event in self._reader.read(Record(self._node.now_ns(), topic, data)):
                if isinstance(event, Notice):
                    self._notice(event)
                self._on_event(event)

        return RawSubscription(self._node, kind, topic, profile, take)

    def _notice(self, notice: Notice) -> None:
        self._node.dropped(notice.topic, notice.text.removeprefix(f"topic {notice.topic}: "))
        if notice.kind is NoticeKind.MOTION_UNPLACED:
            self._history.spoil(notice.stamp_ns, notice.text)
