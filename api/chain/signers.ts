import { open } from 'node:fs/promises';
import { getAddress, SigningKey, Transaction, Wallet, type TransactionLike } from 'ethers';
import * as z from 'zod/mini';
import { address20, bytesUpTo, type Rpc } from './rpc.ts';
import { ChainTrouble } from './trouble.ts';

/** Whoever holds the operator's key. */
export interface Signer {
  /** our address, 0x and lower hex */
  address(): Promise<string>;
  /** the signed transaction, 0x and hex; it is exactly the one that was asked for. Both throw ChainTrouble. */
  sign(transaction: TransactionLike): Promise<string>;
}

/**
 * The key in a file, 32 bytes in hex. The file is read when it is needed, so a fault of it can be mended while the service
 * runs: KEY_FILE_OPEN unless only its owner can read it, KEY_FILE_BAD when there is no key in it.
 */
export function fileSigner(path: string): Signer {
  const wallet = async (): Promise<Wallet> => {
    const key = await readKey(path);
    try {
      return new Wallet(new SigningKey(key));
    } catch {
      // Its error would quote the number.
      throw new ChainTrouble('KEY_FILE_BAD', `${path} holds a number that is no key`);
    }
  };
  return {
    address: async () => (await wallet()).address.toLowerCase(),
    sign: async (transaction) => (await wallet()).signTransaction(transaction),
  };
}

/** A key with what surrounds it; a larger file is none. */
const LONGEST = 256;

async function readKey(path: string): Promise<string> {
  let text: string;
  try {
    await using file = await open(path);
    // Of the file that is read, not of what stands under its name a moment later.
    const { mode, size } = await file.stat();
    if (mode & 0o077)
      throw new ChainTrouble(
        'KEY_FILE_OPEN',
        `${path} can be read by others than its owner (mode ${(mode & 0o777).toString(8)}): chmod 600`,
      );
    if (size > LONGEST) throw new ChainTrouble('KEY_FILE_BAD', `${path} is no file with a key`);
    text = (await file.readFile('utf8')).trim();
  } catch (cause) {
    if (cause instanceof ChainTrouble) throw cause;
    const { code } = cause as NodeJS.ErrnoException;
    throw new ChainTrouble('KEY_FILE_BAD', `${path} cannot be read (${code ?? 'unknown'})`);
  }
  if (!/^(?:0x)?[0-9a-f]{64}$/i.test(text)) throw new ChainTrouble('KEY_FILE_BAD', `${path} holds no key`);
  return text.startsWith('0x') ? text : `0x${text}`;
}

// Geth and Clef answer with both forms, Web3Signer with the bytes alone.
const signedSchema = z.union([bytesUpTo(4_096), z.object({ raw: bytesUpTo(4_096) })]);

/**
 * A signer's endpoint (Web3Signer, Clef): it has one account, which is ours, and signs what we ask, or SIGNER_TROUBLE is
 * thrown.
 */
export function endpointSigner(rpc: Rpc): Signer {
  const address = async (): Promise<string> => {
    const accounts = await asked(rpc.call('eth_accounts', [], z.array(address20)));
    if (accounts.length !== 1)
      throw new ChainTrouble('SIGNER_TROUBLE', `the signer has ${accounts.length} accounts, not one`);
    return accounts[0]!;
  };
  return {
    address,
    async sign(transaction) {
      const from = await address();
      const unsigned = Transaction.from(transaction);
      const answer = await asked(
        rpc.call('eth_signTransaction', [{ from, ...asRequest(unsigned) }], signedSchema),
      );
      const raw = typeof answer === 'string' ? answer : answer.raw;
      if (!isSigned(raw, unsigned, from))
        throw new ChainTrouble('SIGNER_TROUBLE', 'the signer has signed something else');
      return raw;
    },
  };
}

/** The fields of eth_signTransaction: quantities without leading zeros. */
function asRequest(unsigned: Transaction): object {
  const hex = (number: bigint | number | null): string => `0x${(number ?? 0).toString(16)}`;
  return {
    to: unsigned.to,
    data: unsigned.data,
    nonce: hex(unsigned.nonce),
    gas: hex(unsigned.gasLimit),
    value: hex(unsigned.value),
    chainId: hex(unsigned.chainId),
    ...(unsigned.type === 2
      ? {
          maxFeePerGas: hex(unsigned.maxFeePerGas),
          maxPriorityFeePerGas: hex(unsigned.maxPriorityFeePerGas),
        }
      : { gasPrice: hex(unsigned.gasPrice) }),
  };
}

function isSigned(raw: string, unsigned: Transaction, from: string): boolean {
  try {
    const signed = Transaction.from(raw);
    return signed.unsignedHash === unsigned.unsignedHash && signed.from === getAddress(from);
  } catch {
    return false;
  }
}

async function asked<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (cause) {
    if (cause instanceof ChainTrouble) throw new ChainTrouble('SIGNER_TROUBLE', cause.message, { cause });
    throw cause;
  }
}
