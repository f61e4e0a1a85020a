import { EventEmitter } from 'node:events';
import type { Pool } from 'pg';
import { nodeSuite } from '@yaoji/chaincode/contract/node-suite';
import type { Suite } from '@yaoji/chaincode/core';
import type { Ledger } from '../ledger/connect.ts';
import type { AnchorPlace } from '../store/anchors.ts';
import type { HostedKeys } from './hosted-keys.ts';
import type { BoxViews } from './prove.ts';
import type { ShortMemory } from './short-memory.ts';

/** What the pipeline's stages work with. */
export interface Pipeline {
  pool: Pool;
  ledger: Ledger;
  keys: HostedKeys;
  decisions: Decisions;
  views: ShortMemory<BoxViews | undefined>;
  /** where the logs' checkpoints are published; not there: nowhere */
  anchors?: AnchorPlace;
  /** the keys of the ledger's registry that the mirror is known to hold: none is ever removed */
  mirrored: Set<string>;
  /** the service's clock, ms since the epoch */
  now: () => number;
  /** tells an organisation's worker that something may be ready to be written */
  nudge: (org: string) => void;
  /** whether the last try to reach an organisation's ledger failed: then no verdict is to be waited for */
  failing: (org: string) => boolean;
  log: (event: { level: 'info' | 'warn' | 'error'; what: string; [detail: string]: unknown }) => void;
}

/** The suite for entries that are already known to be signed: receive has verified them, and the ledger does so again. */
export const trusting: Suite = { ...nodeSuite, verify: () => Promise.resolve(true) };

/** Who waits in this process for the verdict on an event. */
export class Decisions {
  private readonly emitter = new EventEmitter().setMaxListeners(0);

  announce(decided: readonly { station: string; n: number }[]): void {
    for (const { station, n } of decided) this.emitter.emit(`${station} ${n}`);
  }

  /** Resolves when the verdict is stored or the time is over, whichever comes first. */
  wait({ station, n }: { station: string; n: number }, ms: number): Promise<void> {
    return new Promise((resolve) => {
      const name = `${station} ${n}`;
      const done = (): void => {
        clearTimeout(timer);
        this.emitter.off(name, done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      this.emitter.on(name, done);
    });
  }
}
