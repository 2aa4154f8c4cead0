// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity 0.8.37;

/// @title Poolchain's payment pools as a contract: what Poolchain is compared with (docs/protocol.md, sections 2 to 4)
/// @notice A creator locks a deposit and a larger collateral, and signs off-chain the total that each payee may take.
/// Differences to the protocol that the platform asks for: the second signature of a settlement is the one of the
/// payee's transaction; the fee is gas, paid by whoever sends, so the reward of a slash does not contain it; a refund
/// after the expiry takes a transaction. The resource id is only logged, since no rule reads it.
contract Pools {
    enum Status {
        Absent,
        Open,
        Expired,
        Slashed
    }

    /// @dev Three slots. A settlement reads the first, and reads and writes the second.
    struct Pool {
        address creator;
        uint64 expiresAt;
        Status status;
        uint128 deposit;
        uint128 spent;
        uint128 collateral;
    }

    /// @dev One slot.
    struct Target {
        uint128 paid;
        uint64 seq;
    }

    uint256 private constant REWARD = 1 ether;
    address private constant BURNED = address(0);
    bytes32 private constant SERVICE_PAYMENT =
        keccak256("ServicePayment(address target,uint256 amount,bytes32 cptxHash,uint64 tgtSeq)");
    bytes32 private immutable DOMAIN_SEPARATOR = keccak256(
        abi.encode(
            keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
            keccak256("Poolchain"),
            keccak256("1"),
            block.chainid,
            address(this)
        )
    );

    mapping(bytes32 id => Pool) public pools;
    mapping(bytes32 id => mapping(address target => Target)) public targets;

    event Created(bytes32 indexed id, address indexed creator, bytes32 indexed resourceId);
    event Settled(bytes32 indexed id, address indexed target, uint256 paid);
    event Slashed(bytes32 indexed id, address indexed target, uint256 paid, uint256 burned, uint256 reward);
    event Expired(bytes32 indexed id, uint256 returned);

    error ZeroDeposit();
    error CollateralTooSmall();
    error ZeroDuration();
    error PoolExists();
    error PoolClosed();
    error PoolExpired();
    error NotExpired();
    error TargetIsCreator();
    error WrongSequence(uint64 expected);
    error NothingDue(uint128 paid);
    error BadSignature();
    error NotPaid();

    /// @notice Locks the value sent: the deposit, and as collateral the rest, which has to be larger.
    /// @param salt chosen by the creator, so that the id is known beforehand and no counter is written
    function create(bytes32 salt, bytes32 resourceId, uint128 deposit, uint64 duration) external payable returns (bytes32 id) {
        if (deposit == 0) revert ZeroDeposit();
        if (duration == 0 || duration > type(uint32).max) revert ZeroDuration();
        if (msg.value <= 2 * uint256(deposit) || msg.value > type(uint128).max) revert CollateralTooSmall();
        id = keccak256(abi.encode(msg.sender, salt));
        if (pools[id].status != Status.Absent) revert PoolExists();
        unchecked {
            pools[id] = Pool({
                creator: msg.sender,
                expiresAt: uint64(block.number) + duration,
                status: Status.Open,
                deposit: deposit,
                spent: 0,
                collateral: uint128(msg.value - deposit)
            });
        }
        emit Created(id, msg.sender, resourceId);
    }

    /// @notice Publishes the creator's newest promise to the sender. A total beyond the deposit is the creator's double
    /// spend: then the sender gets what remains and a reward, and the rest of the collateral burns.
    /// @param amount the total promised to the sender over the life of the pool
    /// @param r of the creator's EIP-712 signature
    /// @param vs the rest of it (EIP-2098); a second form of one signature does no harm, since tgtSeq is used once
    function settle(bytes32 id, uint128 amount, uint64 tgtSeq, bytes32 r, bytes32 vs) external {
        Pool storage pool = pools[id];
        (address creator, uint64 expiresAt, Status status) = (pool.creator, pool.expiresAt, pool.status);
        if (status != Status.Open) revert PoolClosed();
        if (block.number >= expiresAt) revert PoolExpired();
        if (msg.sender == creator) revert TargetIsCreator();
        (uint128 paid, uint64 seq) = (targets[id][msg.sender].paid, targets[id][msg.sender].seq);
        unchecked {
            if (tgtSeq != seq + 1) revert WrongSequence(seq + 1);
            if (amount <= paid) revert NothingDue(paid);
            if (_signer(id, amount, tgtSeq, r, vs) != creator) revert BadSignature();
            uint128 due = amount - paid;
            (uint128 deposit, uint128 spent) = (pool.deposit, pool.spent);
            uint128 remaining = deposit - spent;
            if (due > remaining) return _slash(id, pool, paid, tgtSeq);
            targets[id][msg.sender] = Target(amount, tgtSeq);
            pool.spent = spent + due;
            emit Settled(id, msg.sender, due);
            _pay(msg.sender, due);
        }
    }

    /// @notice Returns what remains of an expired pool, with the collateral, to its creator. Anybody may send it.
    function refund(bytes32 id) external {
        Pool storage pool = pools[id];
        if (pool.status != Status.Open) revert PoolClosed();
        if (block.number < pool.expiresAt) revert NotExpired();
        pool.status = Status.Expired;
        unchecked {
            uint256 returned = uint256(pool.deposit - pool.spent) + pool.collateral;
            emit Expired(id, returned);
            _pay(pool.creator, returned);
        }
    }

    /// @dev At least deposit + 1 always burns (Theorem IV.1).
    function _slash(bytes32 id, Pool storage pool, uint128 paid, uint64 tgtSeq) private {
        unchecked {
            (uint128 deposit, uint128 remaining, uint128 collateral) =
                (pool.deposit, pool.deposit - pool.spent, pool.collateral);
            uint256 most = collateral - deposit - 1;
            uint256 reward = most < REWARD ? most : REWARD;
            targets[id][msg.sender] = Target(paid + remaining, tgtSeq);
            pool.spent = deposit;
            pool.status = Status.Slashed;
            emit Slashed(id, msg.sender, remaining, collateral - reward, reward);
            _pay(BURNED, collateral - reward);
            _pay(msg.sender, remaining + reward);
        }
    }

    /// @return signer the zero address where no key can be recovered, which is nobody's: an open pool has a creator
    function _signer(bytes32 id, uint256 amount, uint64 tgtSeq, bytes32 r, bytes32 vs) private view returns (address signer) {
        bytes32 message = keccak256(abi.encode(SERVICE_PAYMENT, msg.sender, amount, id, tgtSeq));
        bytes32 digest = keccak256(abi.encodePacked(hex"1901", DOMAIN_SEPARATOR, message));
        unchecked {
            uint8 v = uint8((uint256(vs) >> 255) + 27);
            return ecrecover(digest, v, r, vs & bytes32(uint256(type(int256).max)));
        }
    }

    /// @dev In assembly, so that what a payee's code answers is not copied.
    function _pay(address to, uint256 amount) private {
        bool done;
        assembly ("memory-safe") {
            done := call(gas(), to, amount, 0, 0, 0, 0)
        }
        if (!done) revert NotPaid();
    }
}
