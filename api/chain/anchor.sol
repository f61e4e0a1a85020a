// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// One root for each sequence number, written once and for ever by one operator. There is no owner to change, no proxy and
/// no upgrade: whoever has read these lines knows all that this address can do.
contract YaojiAnchor {
    /// who deployed it, and the only one who may write
    address public immutable operator;
    /// the roots by sequence number; zero: not anchored
    mapping(uint256 seq => bytes32) public rootOf;

    event Anchored(uint256 indexed seq, bytes32 indexed root);

    error NotOperator();
    error RootMissing();
    error AlreadyAnchored();

    constructor() {
        operator = msg.sender;
    }

    /// Writes the root of a sequence number. A repeated submission fails here, so it cannot make a second anchor.
    function anchor(uint256 seq, bytes32 root) external {
        if (msg.sender != operator) revert NotOperator();
        if (root == 0) revert RootMissing();
        if (rootOf[seq] != 0) revert AlreadyAnchored();
        rootOf[seq] = root;
        emit Anchored(seq, root);
    }
}
