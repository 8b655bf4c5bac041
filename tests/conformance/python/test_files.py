"""Files in messages whose bytes are in a bucket: two nodes, and a server with S3's API (moto) between them."""

import hashlib
import os
import tempfile

import boto3
import pytest
import requests
import server
import socketio
from moto.server import ThreadedMotoServer

BOUND_S = 60
# More than one part of an upload in parts, and the end of one.
SIZE = 2 * 8 * 1024 * 1024 + 12_345


@pytest.fixture(scope="module")
def bucket():
    s3 = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    s3.start()
    try:
        host, port = s3.get_host_and_port()
        url = f"http://{host}:{port}"
        client = boto3.client(
            "s3",
            endpoint_url=url,
            region_name="us-east-1",
            aws_access_key_id="key",
            aws_secret_access_key="secret",
        )
        client.create_bucket(Bucket="files")
        yield url, client
    finally:
        s3.stop()


@pytest.fixture(scope="module")
def lakh(bucket):
    with tempfile.TemporaryDirectory() as data:
        secret = os.path.join(data, "secret")
        with open(secret, "w", encoding="ascii") as file:
            file.write("secret\n")
        env = {
            "LAKH_CHAT__FILES__S3_URL": "s3://files/chat",
            "LAKH_CHAT__FILES__S3_ENDPOINT": bucket[0],
            "LAKH_CHAT__FILES__S3_KEY_ID": "key",
            "LAKH_CHAT__FILES__S3_SECRET_FILE": secret,
        }
        with server.lakh(data, env) as running:
            yield running


@pytest.fixture
def ada(lakh):
    client = socketio.Client(reconnection=False)
    client.connect(lakh.url, transports=["websocket"], namespaces=["/chat"], auth={"name": "Ada"}, wait_timeout=BOUND_S)
    try:
        yield lambda event, argument: client.call(event, argument, namespace="/chat", timeout=BOUND_S)
    finally:
        client.disconnect()


def keys(client):
    return sorted(found["Key"] for found in client.list_objects_v2(Bucket="files").get("Contents", []))


@pytest.mark.parametrize("size", [1, 100_000, SIZE])
def test_a_file_is_kept_in_the_bucket_and_read_in_parts(lakh, bucket, ada, size):
    before = keys(bucket[1])
    content = os.urandom(size)
    ada("room:join", {"room": "r"})
    ask = {"room": "r", "name": "a.txt", "size": size, "type": "text/plain"}
    ticket = ada("attachment:upload", ask)
    assert ticket["ok"], ticket
    put = requests.put(lakh.url + ticket["url"], data=content, timeout=BOUND_S)
    assert put.status_code == 201, put.text
    digest = hashlib.sha256(content).hexdigest()
    new = [key for key in keys(bucket[1]) if key not in before]
    assert len(new) == 1 and new[0].startswith(f"chat/{digest[:2]}/{digest[2:]}"), new
    assert not [file for file in os.listdir(os.path.join(lakh.data, "files", "tmp"))], "nothing is left on the way"

    sent = ada("message:send", {"room": "r", "key": digest, "attachments": [put.json()["id"]]})
    url = lakh.url + sent["message"]["attachments"][0]["url"]
    access = {"access": ada("attachment:access", {})["access"]}
    whole = requests.get(url, params=access, timeout=BOUND_S)
    assert whole.status_code == 200 and whole.content == content
    part = requests.get(url, params=access, headers={"Range": f"bytes={size // 2}-"}, timeout=BOUND_S)
    assert part.status_code == 206 and part.content == content[size // 2 :]
    assert part.headers["Content-Range"] == f"bytes {size // 2}-{size - 1}/{size}"

    # The same again is there already.
    ticket = ada("attachment:upload", ask)
    put = requests.put(lakh.url + ticket["url"], data=content, timeout=BOUND_S)
    assert put.status_code == 201, put.text
    assert [key for key in keys(bucket[1]) if key not in before] == new
    assert not bucket[1].list_multipart_uploads(Bucket="files").get("Uploads"), "no upload in parts is left open"


def test_a_bucket_that_is_not_there_refuses_the_file_and_serves_on(bucket):
    env = {
        "LAKH_CHAT__FILES__S3_URL": "s3://elsewhere",
        "LAKH_CHAT__FILES__S3_ENDPOINT": bucket[0],
        "LAKH_CHAT__FILES__S3_KEY_ID": "key",
        "LAKH_CHAT__FILES__S3_SECRET": "secret",
    }
    with tempfile.TemporaryDirectory() as data, server.lakh(data, env) as running:
        client = socketio.Client(reconnection=False)
        client.connect(running.url, transports=["websocket"], namespaces=["/chat"], auth={"name": "Ada"})
        client.call("room:join", {"room": "r"}, namespace="/chat", timeout=BOUND_S)
        ask = {"room": "r", "name": "a.txt", "size": 5, "type": "text/plain"}
        ticket = client.call("attachment:upload", ask, namespace="/chat", timeout=BOUND_S)
        put = requests.put(running.url + ticket["url"], data=b"hello", timeout=BOUND_S)
        assert put.status_code == 503 and put.json()["error"]["code"] == "unavailable", put.text
        client.disconnect()
