"""The proxy really breaks connections; otherwise network faults prove nothing."""

import socket

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.faults.proxy import Proxy


@pytest.fixture
def proxy(valkey):
    proxy = Proxy(valkey.socket)
    yield proxy
    proxy.stop()


@pytest.fixture
def client(proxy):
    with redis.Redis(port=proxy.port, socket_timeout=1, retry=Retry(NoBackoff(), 0)) as client:
        assert client.ping()
        yield client


def test_the_proxy_resets_connections(proxy):
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as connection:
        connection.sendall(b"PING\r\n")
        assert connection.recv(100) == b"+PONG\r\n"
        assert proxy.cut() == 1
        with pytest.raises(ConnectionResetError):
            connection.recv(100)


def test_the_proxy_refuses_connections(proxy, client):
    with proxy.refusing(), pytest.raises(redis.ConnectionError, match="refused"):
        client.ping()
    assert client.ping()


def test_the_proxy_drops_what_is_sent(proxy, client):
    with proxy.black_hole(), pytest.raises(redis.TimeoutError):
        client.ping()
    assert client.ping()
