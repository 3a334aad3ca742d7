"""The rig from the shell: python3 -m rig --help."""

from __future__ import annotations

import argparse
import cmd
import json
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from rig import jars, session
from rig.access import PROTOCOLS, Listener, write_properties
from rig.certificates import Certificates
from rig.kafka import QUICK_START, VERSIONS, KafkaCluster
from rig.processes import RigError
from rig.proxy import FaultProxy
from rig.search_engine import ENGINES, SearchEngine
from rig.strict_bulk_server import PRODUCTS, StrictBulkServer

_EXAMPLES = """\
examples:
  python3 -m rig fetch
      get the jars now and not at the first start
  python3 -m rig kafka up --name oci --listener sasl_ssl --user 'tenancy/me/ocid1.streampool=token'
      a cluster as OCI Streaming shows itself; prints where it is, Ctrl+C ends it
  python3 -m rig kafka up --name aws --listener ssl --proxied ssl --brokers 3
      mutual TLS, reached through a fault proxy per broker; then type: cut, heal, kill 2, help
  python3 -m rig search up --engine elasticsearch-7.10.2 --set thread_pool.write.queue_size=1
      a real engine behind https; prints where it is; then type: kill, restart, pause, resume
  python3 -m rig bulk-server up --product opensearch-3
      a strict server that misbehaves when it is told to, by its control_url
  python3 -m rig session start state/session
      both clusters in the background; DRAWBRIDGE_RIG_SESSION=state/session lets pytest use them
"""


def main() -> int:
    """Runs one command and returns the exit code."""
    arguments = _parser().parse_args()
    try:
        arguments.run(arguments)
    except RigError as error:
        print(f"rig: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python3 -m rig",
        description="Starts real systems on loopback, on free ports.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_fetch(commands)
    _add_kafka(commands)
    _add_search(commands)
    _add_bulk_server(commands)
    _add_session(commands)
    return parser


def _add_fetch(commands: argparse._SubParsersAction) -> None:
    fetch = commands.add_parser("fetch", help="fetch jars into the cache")
    fetch.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help=f"of {', '.join(jars.names())}; all if none is given",
    )
    fetch.set_defaults(
        run=lambda arguments: [print(jars.fetch(name)) for name in arguments.names or jars.names()]
    )


def _add_kafka(commands: argparse._SubParsersAction) -> None:
    kafka = commands.add_parser("kafka", help="run a Kafka cluster")
    verbs = kafka.add_subparsers(required=True, metavar="VERB")
    up = verbs.add_parser(
        "up",
        help="run a cluster until Ctrl+C or SIGTERM",
        description="Runs a cluster until Ctrl+C or SIGTERM. When it is ready one JSON document on "
        "stdout says how to reach it. Then commands are read from stdin: 'help' lists them.",
    )
    up.add_argument("--name", default="kafka")
    up.add_argument("--version", default=VERSIONS[0], choices=VERSIONS)
    up.add_argument("--brokers", type=int, default=1, choices=(1, 3))
    up.add_argument(
        "--listener",
        action="append",
        dest="listeners",
        choices=PROTOCOLS,
        help="may be repeated; plaintext if none is given",
    )
    up.add_argument(
        "--proxied",
        action="append",
        default=[],
        choices=PROTOCOLS,
        metavar="LISTENER",
        help="clients of this listener go through a fault proxy per broker; may be repeated",
    )
    up.add_argument(
        "--user",
        action="append",
        default=[],
        metavar="NAME=PASSWORD",
        help="may log in by PLAIN and SCRAM; may be repeated",
    )
    up.add_argument(
        "--super-user",
        action="append",
        metavar="PRINCIPAL",
        help="switches ACLs on; as User:admin; may be repeated",
    )
    up.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="PROPERTY=VALUE",
        help="a property of every broker; may be repeated",
    )
    up.add_argument(
        "--full-speed",
        action="store_true",
        help="brokers for a bench: slower to start, faster under load",
    )
    up.add_argument("--heap", default="512m", help="of each broker (default 512m)")
    up.add_argument(
        "--state", type=Path, metavar="DIR", help="keeps the data; else a temporary folder"
    )
    up.set_defaults(run=_kafka_up)


def _add_search(commands: argparse._SubParsersAction) -> None:
    search = commands.add_parser("search", help="run OpenSearch or Elasticsearch")
    verbs = search.add_subparsers(required=True, metavar="VERB")
    up = verbs.add_parser(
        "up",
        help="run an engine until Ctrl+C or SIGTERM",
        description="Runs an engine until Ctrl+C or SIGTERM. When it is ready one JSON document on "
        "stdout says how to reach it. Then commands are read from stdin: 'help' lists them.",
    )
    up.add_argument("--engine", default=ENGINES[0], choices=ENGINES)
    up.add_argument("--name", default="search")
    _add_credentials(up)
    up.add_argument(
        "--client-certificate", action="store_true", help="clients must show a certificate too"
    )
    up.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="SETTING=VALUE",
        help="a setting of the node; may be repeated",
    )
    up.add_argument(
        "--full-speed",
        action="store_true",
        help="for a bench: slower to start, faster under load",
    )
    up.add_argument("--heap", default="512m", help="default 512m")
    up.add_argument(
        "--state", type=Path, metavar="DIR", help="keeps the data; else a temporary folder"
    )
    up.set_defaults(run=_search_up)


def _add_bulk_server(commands: argparse._SubParsersAction) -> None:
    server = commands.add_parser(
        "bulk-server", help="run a strict server of _bulk that misbehaves on demand"
    )
    verbs = server.add_subparsers(required=True, metavar="VERB")
    up = verbs.add_parser(
        "up",
        help="run it until Ctrl+C or SIGTERM",
        description="Runs it until Ctrl+C or SIGTERM. One JSON document on stdout says where it "
        "is; what it shall do wrong is POSTed to control_url/faults.",
    )
    up.add_argument("--product", default="opensearch-2", choices=PRODUCTS)
    _add_credentials(up)
    up.add_argument(
        "--data-streams",
        action="append",
        default=[],
        metavar="PATTERN",
        help="names that fit are data streams; may be repeated",
    )
    up.add_argument(
        "--certificates", type=Path, metavar="DIR", help="https, with certificates in this folder"
    )
    up.set_defaults(run=_bulk_server_up)


def _add_credentials(up: argparse.ArgumentParser) -> None:
    up.add_argument(
        "--user",
        action="append",
        default=[],
        metavar="NAME=PASSWORD",
        help="may come in by basic authentication; may be repeated",
    )
    up.add_argument(
        "--api-key",
        action="append",
        default=[],
        metavar="ID=KEY",
        help="may come in by API key; may be repeated",
    )


def _add_session(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "session", help="both preset clusters in the background, for pytest"
    )
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    start = verbs.add_parser(
        "start", help="start; returns when both are ready and prints DIR/session.json"
    )
    start.set_defaults(
        run=lambda arguments: print(session.start(arguments.folder, arguments.owner))
    )
    serve = verbs.add_parser("serve", help="the same in the foreground")
    serve.set_defaults(run=lambda arguments: session.serve(arguments.folder, arguments.owner))
    for verb in (start, serve):
        verb.add_argument(
            "--owner", type=int, metavar="PID", help="ends when this process has ended"
        )
    stop = verbs.add_parser("stop", help="stop and wait for the end")
    stop.set_defaults(run=lambda arguments: session.stop(arguments.folder))
    for verb in (start, serve, stop):
        verb.add_argument("folder", type=Path, metavar="DIR")


def _kafka_up(arguments: argparse.Namespace) -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    names = dict.fromkeys((arguments.listeners or []) + arguments.proxied) or ["plaintext"]
    with KafkaCluster(
        arguments.name,
        listeners=[Listener(name, is_proxied=name in arguments.proxied) for name in names],
        brokers=arguments.brokers,
        version=arguments.version,
        users=dict(_pair(text) for text in arguments.user) or None,
        super_users=arguments.super_user,
        properties=dict(_pair(text) for text in arguments.set),
        state=arguments.state,
        heap=arguments.heap,
        jvm_options=() if arguments.full_speed else QUICK_START,
    ) as cluster, tempfile.TemporaryDirectory(prefix="drawbridge-rig-clients-") as folder:
        print(
            json.dumps(
                {**cluster.to_json(), "files": _client_files(cluster, Path(folder))}, indent=2
            ),
            flush=True,
        )
        try:
            _Steering(cluster).cmdloop()
            while True:  # stdin has ended: somebody started us without one.
                signal.pause()
        except KeyboardInterrupt:
            pass


def _search_up(arguments: argparse.Namespace) -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with SearchEngine(
        arguments.engine,
        arguments.name,
        settings=dict(_pair(text) for text in arguments.set),
        users=dict(_pair(text) for text in arguments.user) or None,
        api_keys=dict(_pair(text) for text in arguments.api_key) or None,
        requires_certificate=arguments.client_certificate,
        state=arguments.state,
        heap=arguments.heap,
        jvm_options=() if arguments.full_speed else QUICK_START,
    ) as engine:
        print(json.dumps(engine.to_json(), indent=2), flush=True)
        try:
            _EngineSteering(engine).cmdloop()
            while True:  # stdin has ended: somebody started us without one.
                signal.pause()
        except KeyboardInterrupt:
            pass


def _bulk_server_up(arguments: argparse.Namespace) -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with StrictBulkServer(
        arguments.product,
        certificates=Certificates(arguments.certificates) if arguments.certificates else None,
        users=dict(_pair(text) for text in arguments.user),
        api_keys=dict(_pair(text) for text in arguments.api_key),
        stream_patterns=tuple(arguments.data_streams),
    ) as server:
        print(json.dumps(server.to_json(), indent=2), flush=True)
        try:
            while True:
                signal.pause()
        except KeyboardInterrupt:
            pass


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise RigError(f"{text}: NAME=VALUE is wanted")
    return name, value


def _client_files(cluster: KafkaCluster, folder: Path) -> dict[str, dict[str, str]]:
    """Per listener a properties file for Java clients and one for librdkafka's tools (kcat -F)."""
    return {
        name: {
            "java": str(
                write_properties(folder / f"{name}.java.properties", cluster.java_properties(name))
            ),
            "librdkafka": str(
                write_properties(
                    folder / f"{name}.librdkafka.properties", cluster.librdkafka_properties(name)
                )
            ),
        }
        for name in cluster.listeners
    }


class _Commands(cmd.Cmd):
    """Commands read from stdin; a mistake is reported and not the end."""

    def __init__(self, name: str) -> None:
        super().__init__(completekey=None)
        self.use_rawinput = sys.stdin.isatty()
        self.prompt = f"{name}> " if sys.stdin.isatty() else ""

    def onecmd(self, line: str) -> bool:
        try:
            return super().onecmd(line)
        except (RigError, KeyError, ValueError) as error:
            print(f"rig: {error}", file=sys.stderr)
            return False

    def emptyline(self) -> bool:
        return False

    def do_EOF(self, _: str) -> bool:
        """Ctrl+D: no more commands; what runs goes on until Ctrl+C"""
        return True


class _EngineSteering(_Commands):
    """Life and death of an engine by hand."""

    def __init__(self, engine: SearchEngine) -> None:
        super().__init__(engine.name)
        self._engine = engine

    def do_kill(self, _: str) -> None:
        """kill: SIGKILL"""
        self._engine.kill()

    def do_terminate(self, _: str) -> None:
        """terminate: clean shutdown"""
        self._engine.terminate()

    def do_restart(self, _: str) -> None:
        """restart: start again on its ports and data"""
        self._engine.restart()

    def do_pause(self, _: str) -> None:
        """pause: SIGSTOP"""
        self._engine.pause()

    def do_resume(self, _: str) -> None:
        """resume: SIGCONT"""
        self._engine.resume()

    def do_flood(self, line: str) -> None:
        """flood INDEX on|off: the block that a full disk puts on an index"""
        index, state = line.split()
        self._engine.client.set_flood_stage(index, state == "on")


class _Steering(_Commands):
    """Faults by hand. Broker verbs take a broker's id; network verbs act on every proxy."""

    def __init__(self, cluster: KafkaCluster) -> None:
        super().__init__(cluster.name)
        self._cluster = cluster

    def do_kill(self, line: str) -> None:
        """kill N: SIGKILL to broker N"""
        self._cluster.kill(int(line))

    def do_terminate(self, line: str) -> None:
        """terminate N: clean shutdown of broker N"""
        self._cluster.terminate(int(line))

    def do_restart(self, line: str) -> None:
        """restart N: start broker N again on its ports and data"""
        self._cluster.restart(int(line))

    def do_pause(self, line: str) -> None:
        """pause N: SIGSTOP to broker N"""
        self._cluster.pause(int(line))

    def do_resume(self, line: str) -> None:
        """resume N: SIGCONT to broker N"""
        self._cluster.resume(int(line))

    def do_cut(self, _: str) -> None:
        """cut: reset all connections, refuse new ones"""
        self._each_proxy(FaultProxy.cut)

    def do_reset(self, _: str) -> None:
        """reset: reset all connections, accept new ones"""
        self._each_proxy(FaultProxy.reset)

    def do_stall(self, _: str) -> None:
        """stall: forward nothing"""
        self._each_proxy(FaultProxy.stall)

    def do_delay(self, line: str) -> None:
        """delay SECONDS: one way, so a round trip takes twice as long"""
        seconds = float(line)
        self._each_proxy(lambda proxy: proxy.delay(seconds))

    def do_throttle(self, line: str) -> None:
        """throttle BYTES: per second, per broker and direction"""
        rate = float(line)
        self._each_proxy(lambda proxy: proxy.throttle(rate))

    def do_heal(self, _: str) -> None:
        """heal: undo all network faults"""
        self._each_proxy(FaultProxy.heal)

    def do_counts(self, _: str) -> None:
        """counts: connections and bytes of each proxy"""
        self._each_proxy(lambda proxy: print(proxy.counts(), file=sys.stderr))

    def _each_proxy(self, action: Callable[[FaultProxy], None]) -> None:
        proxied = [
            name for name, listener in self._cluster.listeners.items() if listener.is_proxied
        ]
        if not proxied:
            raise RigError("no listener is proxied; start with --proxied")
        for name in proxied:
            for proxy in self._cluster.proxies(name):
                action(proxy)


if __name__ == "__main__":
    sys.exit(main())
