"""The light client: proof documents checked offline, and a head that is followed without anybody's word.

Depends on hashes, signatures and the byte layouts of transactions and records; never on storage or rpc.
"""
