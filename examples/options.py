"""What all examples are told: which chain is trusted, and who pays or is paid."""

from __future__ import annotations

import argparse
import os
import sys

from crypto.address import parse_address
from crypto.signature import SigningKey
from light.verify import Trust


def parser(text: str | None) -> argparse.ArgumentParser:
    """Return a parser of `--node`, `--authority` and `--genesis`, to which an example adds its own."""
    found = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    found.add_argument("--node", default="http://127.0.0.1:8545", help="Where a node answers.")
    found.add_argument("--authority", required=True, help="The address of the chain's authority.")
    found.add_argument("--genesis", required=True, help="The chain's genesis hash.")
    return found


def trust_of(options: argparse.Namespace) -> Trust:
    """Return what is believed of the chain; everything else is proven."""
    try:
        return Trust(parse_address(options.authority), bytes.fromhex(options.genesis.removeprefix("0x")))
    except ValueError as error:
        sys.exit(f"--authority or --genesis: {error}.")


def key_of_environment() -> SigningKey:
    """Return the key in POOLCHAIN_KEY, in hex: an argument would be seen by everybody on the machine."""
    try:
        return SigningKey(bytes.fromhex(os.environ.get("POOLCHAIN_KEY", "").removeprefix("0x")))
    except ValueError:
        sys.exit("Set POOLCHAIN_KEY to the private key of the account that pays or is paid, in hex.")
