import { readFileSync } from 'node:fs';

/** What systemd would start from a unit file. */
export interface StartedUnit {
  readonly command: readonly string[];
  readonly environment: NodeJS.ProcessEnv;
}

/** Reads the two kinds of files as systemd does, as far as ours use its syntax (systemd.service(5), systemd.exec(5)). */
export function readUnit(file: string): StartedUnit {
  const unit = settingsIn(file);
  const environment = settingsIn(unit['EnvironmentFile']!);
  return {
    command: unit['ExecStart']!.split(' '),
    // What systemd gives to every system service.
    environment: { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', ...environment },
  };
}

function settingsIn(file: string): Record<string, string> {
  const lines = readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line.includes('='));
  return Object.fromEntries(
    lines.map((line) => {
      const at = line.indexOf('=');
      return [line.slice(0, at), line.slice(at + 1).replace(/^'(.*)'$/, '$1')];
    }),
  );
}
