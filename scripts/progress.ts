const WIDTH = 30;
// More often than this nobody sees.
const EVERY = 100;

export interface Progress {
  (stage: string, done: number, of: number): void;
}

/**
 * Shows how far a long command is: one bar that redraws itself where a person looks at a terminal, one plain line per stage
 * where a file or a program reads.
 */
export function progressOn(stream: { isTTY?: boolean; write(text: string): unknown }): Progress {
  let drawn = 0;
  let said = '';
  return (stage, done, of) => {
    const ended = done >= of;
    if (!stream.isTTY) {
      if (ended && stage !== said) stream.write(`${stage}: ${done}\n`);
      if (ended) said = stage;
      return;
    }
    if (!ended && Date.now() - drawn < EVERY) return;
    drawn = Date.now();
    const filled = of ? Math.min(WIDTH, Math.floor((done / of) * WIDTH)) : WIDTH;
    const bar = '█'.repeat(filled).padEnd(WIDTH, '░');
    stream.write(`\r\x1b[2K${bar} ${stage} ${done}/${of}${ended ? '\r\x1b[2K' : ''}`);
  };
}
