"""python-socketio's clients against a real server: both of its kinds (threads, asyncio), both transports."""

import asyncio
import itertools
import queue
import threading
import uuid

import pytest
import socketio

BOUND_S = 20
TRANSPORTS = [["polling"], ["websocket"], ["polling", "websocket"]]
# python-engineio refuses a polling payload of more than 16 packets, so a polling client is answered in small batches.
BATCH = 10


class Client:
    """A connected client whose events are put into one queue an event name."""

    def __init__(self, sio, url, transports, namespace="/", auth=None):
        self.namespace = namespace
        self.sio = sio
        self.seen: dict[str, queue.Queue] = {}
        self.sio.on("*", self._note, namespace=namespace)
        self._done(
            self.sio.connect(url, transports=transports, namespaces=[namespace], auth=auth, wait_timeout=BOUND_S)
        )

    def _note(self, event, *args):
        self.seen.setdefault(event, queue.Queue()).put(list(args))

    def next(self, event):
        return self.seen.setdefault(event, queue.Queue()).get(timeout=BOUND_S)

    def emit(self, event, *args):
        self._done(self.sio.emit(event, tuple(args), namespace=self.namespace))

    def call(self, event, *args):
        return self._done(self.sio.call(event, tuple(args), namespace=self.namespace, timeout=BOUND_S))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._done(self.sio.disconnect())


class Threaded(Client):
    """socketio.Client, which handles each packet in a thread of its own.

    An attachment may so overtake the event that it belongs to, which is then lost with a ValueError of that thread, over
    either transport and from any server (python-socketio 5.18, Client._handle_eio_message). It may send binary data; what
    is answered with binary data is asked with the other client.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(socketio.Client(reconnection=False), *args, **kwargs)

    def _done(self, result):
        return result


class Asyncio(Client):
    """socketio.AsyncClient on a loop in a thread of its own; its tasks begin in the order of the packets."""

    def __init__(self, *args, **kwargs):
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        super().__init__(socketio.AsyncClient(reconnection=False), *args, **kwargs)

    def _done(self, result):
        return asyncio.run_coroutine_threadsafe(result, self._loop).result(2 * BOUND_S)

    def __exit__(self, *_):
        super().__exit__(*_)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(BOUND_S)


def each(*kinds):
    """Runs a test with each of these kinds of clients, over each way to connect."""
    return pytest.mark.parametrize(
        ("kind", "transports"),
        [
            pytest.param(kind, transports, id="-".join([kind.__name__.lower(), "+".join(transports)]))
            for kind, transports in itertools.product(kinds, TRANSPORTS)
        ],
    )


each_client = each(Threaded, Asyncio)
in_order = each(Asyncio)


@in_order
def test_text_and_binary_come_back_as_they_were_sent(kitchen_sink, kind, transports):
    with kind(kitchen_sink.url, transports) as client:
        client.emit("message", "é日本語🦀", {"bytes": bytes(range(256)), "n": [1, -2.5, None, True]}, b"\x00")
        assert client.next("message-back") == [
            "é日本語🦀",
            {"bytes": bytes(range(256)), "n": [1, -2.5, None, True]},
            b"\x00",
        ]


@each_client
def test_the_handshake_carries_auth(kitchen_sink, kind, transports):
    with kind(kitchen_sink.url, transports, auth={"token": "abc"}) as client:
        assert client.next("auth") == [{"token": "abc"}]


@each_client
def test_acknowledgements_go_both_ways(kitchen_sink, kind, transports):
    with kind(kitchen_sink.url, transports) as client:
        assert client.call("message-with-ack", "one") == "one"
        client.sio.on("double", lambda n: n * 2)
        assert client.call("ask", "double", 21) == {"value": 42}


@in_order
def test_an_acknowledgement_carries_binary_data(kitchen_sink, kind, transports):
    with kind(kitchen_sink.url, transports) as client:
        assert client.call("message-with-ack", b"\x01") == b"\x01"


@each_client
def test_two_hundred_events_come_back_once_each(kitchen_sink, kind, transports):
    with kind(kitchen_sink.url, transports) as client:
        for start in range(0, 200, BATCH):
            batch = range(start, start + BATCH)
            for n in batch:
                client.emit("message", n)
            # Only the set is certain with the threaded client.
            assert sorted(client.next("message-back")[0] for _ in batch) == list(batch)


@each_client
def test_rooms_reach_their_members(kitchen_sink, kind, transports):
    room = str(uuid.uuid4())
    with kind(kitchen_sink.url, transports) as a, Asyncio(kitchen_sink.url, transports) as b:
        for client in (a, b):
            client.call("join", room)
        a.emit("broadcast", room, "news", {"n": 1}, b"\x09")
        assert b.next("news") == [{"n": 1}, b"\x09"]


def test_a_refused_sign_in_says_why(kitchen_sink):
    sio = socketio.Client(reconnection=False)
    refusals = queue.Queue()
    sio.on("connect_error", refusals.put, namespace="/auth")
    with pytest.raises(socketio.exceptions.ConnectionError):
        sio.connect(kitchen_sink.url, namespaces=["/auth"], auth={"token": "wrong"}, wait_timeout=BOUND_S)
    assert refusals.get(timeout=BOUND_S) == {
        "message": "not authorized",
        "data": {"code": 401, "content": "Please retry later"},
    }


@pytest.mark.parametrize("transports", TRANSPORTS, ids="+".join)
def test_the_asyncio_client_keeps_order_and_is_answered(kitchen_sink, transports):
    async def talk():
        async with socketio.AsyncSimpleClient() as client:
            await client.connect(kitchen_sink.url, transports=transports, wait_timeout=BOUND_S)
            assert await client.receive(timeout=BOUND_S) == ["auth", {}]
            for start in range(0, 200, BATCH):
                batch = range(start, start + BATCH)
                for n in batch:
                    await client.emit("message", n)
                back = [await client.receive(timeout=BOUND_S) for _ in batch]
                assert back == [["message-back", n] for n in batch]
            assert await client.call("message-with-ack", "x", timeout=BOUND_S) == "x"

    asyncio.run(talk())


@each_client
def test_a_python_client_and_another_talk_in_a_chat_room(lakh, kind, transports):
    room = str(uuid.uuid4())
    with (
        kind(lakh.url, transports, namespace="/chat", auth={"name": "Ada"}) as ada,
        kind(lakh.url, transports, namespace="/chat", auth={"name": "Grace"}) as grace,
    ):
        for client in (ada, grace):
            assert client.call("room:join", {"room": room})["ok"]
        sent = ada.call("message:send", {"room": room, "key": "k1", "text": "Hello from Python"})
        assert sent["ok"]
        message = grace.next("message:new")[0]
        assert message == sent["message"]
        assert message["from"]["name"] == "Ada"
        history = grace.call("message:history", {"room": room})
        assert history["messages"] == [message]


@in_order
def test_rooms_without_code_carry_any_event(lakh, kind, transports):
    room = str(uuid.uuid4())
    with (
        kind(lakh.url, transports, auth={"name": "Ada"}) as ada,
        kind(lakh.url, transports, auth={"name": "Grace"}) as grace,
    ):
        for client in (ada, grace):
            assert client.call("room:join", {"room": room})["ok"]
        assert ada.call("room:emit", {"room": room, "event": "liked", "data": {"bytes": b"\x01\x02"}})["seq"] == 1
        data, meta = grace.next("liked")[:2]
        assert data == {"bytes": b"\x01\x02"}
        assert (meta["room"], meta["seq"]) == (room, 1)


@in_order
def test_rooms_tell_what_was_said_and_who_is_there(lakh, kind, transports):
    room = f"live:{uuid.uuid4()}"
    with (
        kind(lakh.url, transports, auth={"name": "Ada"}) as ada,
        kind(lakh.url, transports, auth={"name": "Grace"}) as grace,
    ):
        assert ada.call("room:join", {"room": room, "presence": True})["presence"]["people"] == 1
        for number, color in enumerate(["red", "blue", "red"], 1):
            said = {"room": room, "event": "said", "data": {"n": number, "b": bytes([number])}, "tags": {"color": color}}
            assert ada.call("room:emit", said)["seq"] == number
        wanted = {"room": room, "filter": {"color": "red"}, "rewind": {"after": 0}}
        joined = grace.call("room:join", wanted)
        assert [(event["seq"], event["data"]) for event in joined["events"]] == [
            (1, {"n": 1, "b": b"\x01"}),
            (3, {"n": 3, "b": b"\x03"}),
        ]
        assert (joined["seq"], joined["complete"], joined["count"]) == (3, True, 2)
        assert ada.next("presence:join")[0]["user"] == {"id": "dev:grace", "name": "Grace"}
        page = grace.call("presence:get", {"room": room})
        assert [member["id"] for member in page["members"]] == ["dev:ada", "dev:grace"]
        grace.call("room:leave", {"room": room})
        assert ada.next("presence:leave")[0]["people"] == 1
        assert [e["seq"] for e in ada.call("history:get", {"room": room, "limit": 2})["events"]] == [2, 3]


@each_client
def test_a_rooms_state_is_the_same_for_all_who_follow_it(lakh, kind, transports):
    room = str(uuid.uuid4())
    with (
        kind(lakh.url, transports, auth={"name": "Ada"}) as ada,
        kind(lakh.url, transports, auth={"name": "Grace"}) as grace,
    ):
        assert ada.call("room:join", {"room": room})["ok"]
        first = ada.call("state:set", {"room": room, "key": "title", "value": {"é": [1, None]}})["version"]
        assert grace.call("room:join", {"room": room, "state": True})["ok"]
        snapshot = grace.next("state:snapshot")[0]
        assert snapshot == {
            "room": room,
            "version": first,
            "entries": {"title": {"value": {"é": [1, None]}, "version": first}},
        }
        request = {"room": room, "key": "title", "value": 2, "if_version": first}
        assert ada.call("state:set", request)["version"] == first + 1
        lost = ada.call("state:set", request)["error"]
        assert (lost["code"], lost["current"]) == ("conflict", {"value": 2, "version": first + 1})
        change = grace.next("state:changed")[0]["changes"][0]
        assert (change["key"], change["value"], change["version"]) == ("title", 2, first + 1)
        lock = {"room": room, "name": "l", "ttl_ms": 10_000}
        token = ada.call("lock:acquire", lock)["token"]
        assert grace.call("lock:acquire", lock)["error"]["code"] == "conflict"
        assert ada.call("lock:release", {"room": room, "name": "l", "token": token})["ok"]
        assert grace.call("lock:acquire", lock)["token"] > token
