"""``rackwright accept``: measure the server that this runs on against what was ordered, and write its certificate."""

from __future__ import annotations

import argparse
import socket
from pathlib import Path

from rackwright.acceptance.promise import Promise, designs, of_gpu, of_profile
from rackwright.acceptance.run import Plan, accept
from rackwright.acceptance.serve import Installation, Settings
from rackwright.acceptance.sweep import Tokens
from rackwright.catalog import builtin
from rackwright.errors import ExitCode, UsageError
from rackwright.paths import build_dir, checkout


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    arguments(
        subparsers.add_parser(
            "accept",
            help="measure this GPU server against what was ordered",
            description="Runs on the GPU server itself. Measures its GPUs and, with Triton, synthetic GPTs of the "
            "design's sizes; writes a certificate. Changes no setting of a GPU.",
        )
    )


def arguments(command: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    command.add_argument(
        "site", metavar="SITE", nargs="?", help="a site that this server belongs to; with --node"
    )
    command.add_argument(
        "--node", metavar="NAME", help="this server's name: in the site, or for the certificate"
    )
    command.add_argument("--profile", help="without a site: the server's profile in the catalogue")
    command.add_argument(
        "--gpu",
        metavar="GPU",
        help="without a site: the catalogue's GPU; default: the profile's usual one. Without --profile: a server "
        "that is none of the catalogue's",
    )
    command.add_argument("--count", type=int, metavar="N", help="without a site: how many GPUs were ordered")
    command.add_argument("--models", default="345m,1.3b,5b,20b", metavar="SIZES",
                         help="sizes of the synthetic GPT, or none (default: %(default)s)")  # fmt: skip
    command.add_argument("--triton", type=Path, default=Path("/opt/tritonserver"), metavar="DIR",
                         help="where bin/tritonserver, lib and backends lie (default: %(default)s)")  # fmt: skip
    command.add_argument("--python-path", default="", metavar="DIRS",
                         help="what the backend's python needs beside its own: a numpy below 2, PyTorch")  # fmt: skip
    command.add_argument(
        "--prompt", type=int, default=32, metavar="N", help="prompt tokens (default: %(default)s)"
    )
    command.add_argument("--new", type=int, default=20, metavar="N", help="new tokens (default: %(default)s)")
    command.add_argument("--grid", default="2x16,1x4", metavar="IxS,…",
                         help="settings beside 1x16: instances x sequences at once (default: %(default)s)")  # fmt: skip
    command.add_argument("--concurrency", default="1,4,8,16,32", metavar="N,…", help="default: %(default)s")
    command.add_argument(
        "--seconds", type=float, default=5.0, help="of each measurement (default: %(default)s)"
    )
    command.add_argument("--target-ms", type=float, metavar="MS",
                         help="p95 for the best setting; default: the design's of each model")  # fmt: skip
    command.add_argument("--output", type=Path, metavar="DIR", help="default: build/acceptance/<host>")
    command.set_defaults(run=run)


def promised(args: argparse.Namespace) -> tuple[Promise, str]:
    """What was ordered, and the server's name. Raises UsageError where neither says it."""
    if args.site is not None:
        if args.node is None:
            raise UsageError("which of the site's servers is this?", "--node NAME, as in the site file")
        from rackwright.acceptance.ordered import (
            of_node,
        )  # a site needs more packages than a GPU server may have

        return of_node(args.site, args.node), args.node
    if args.profile is None:
        if args.gpu is None:
            raise UsageError(
                "what was ordered?", "give a site and --node, or --profile, or --gpu (and --count) alone"
            )
        return of_gpu(builtin(), args.gpu, args.count or 1), args.node or socket.gethostname()
    return of_profile(builtin(), args.profile, args.gpu, args.count), args.node or socket.gethostname()


def planned(args: argparse.Namespace, promise: Promise, host: str) -> Plan:
    """What to do. Raises UsageError for sizes, settings or places that don't exist."""
    known = designs(promise.catalogue)
    sizes = () if args.models == "none" else tuple(filter(None, args.models.split(",")))
    unknown = [size for size in sizes if size not in known]
    if unknown:
        raise UsageError(
            f"no synthetic GPT of size {', '.join(unknown)}", f"sizes: {', '.join(known)}; or none"
        )
    installed = None
    if sizes:
        if not (args.triton / "bin" / "tritonserver").is_file():
            raise UsageError(
                f"no Triton below {args.triton}", "--triton DIR with bin/tritonserver; or --models none"
            )
        model = checkout() / "packaging" / "models" / "synthetic-gpt"
        installed = Installation(args.triton.absolute(), model, args.python_path)
    tokens = Tokens(args.prompt, args.new)
    if not 2 <= tokens.prompt <= 32 or tokens.new < 1 or tokens.prompt + tokens.new > Settings().context:
        raise UsageError(
            f"{tokens.prompt} prompt and {tokens.new} new tokens don't fit",
            f"2 to 32 prompt tokens, and {Settings().context} together at most",
        )
    try:
        grid = tuple(Settings(*map(int, one.split("x"))) for one in filter(None, args.grid.split(",")))
        counts = tuple(int(one) for one in args.concurrency.split(","))
    except (TypeError, ValueError):
        raise UsageError(
            "--grid or --concurrency can't be read", "--grid 2x16,1x4 --concurrency 1,4,16"
        ) from None
    if any(one.instances < 1 or one.slots < 1 for one in grid) or min(counts) < 1 or args.seconds <= 0:
        raise UsageError("settings, concurrencies and seconds are above 0", "--grid 2x16 --concurrency 1,4")
    output = (args.output or build_dir() / "acceptance" / host).absolute()
    return Plan(output, installed, sizes, tokens, grid, counts, args.seconds, args.target_ms)


def run(args: argparse.Namespace) -> int:
    """Accept; 0 when everything passed, 1 when a check failed."""
    promise, host = promised(args)
    certificate = accept(promise, planned(args, promise, host), host, lambda words: print(words, flush=True))
    for one in certificate.all_outcomes:
        hint = f"\n    hint: {one.hint}" if one.hint else ""
        print(f"{one.result:12}  {one.id:22} {one.target:10} {one.evidence}{hint}")
    print(f"\n{host} {certificate.result} in {certificate.seconds:.0f} s")
    return ExitCode.DONE if certificate.result == "passed" else ExitCode.NOT_AS_IT_SHOULD_BE
