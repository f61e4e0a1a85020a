import { dirname } from 'node:path';

// systemd.exec(5) says how it reads both kinds of files; a POSIX shell reads the environment files alike.

/** A process of a member's host, as systemd runs it. */
export interface Service {
  readonly description: string;
  readonly command: string;
  readonly args: readonly string[];
  /** Names the file with its environment. */
  readonly environment: string;
  /** The only folder it may write to; none for one that writes nothing. */
  readonly data?: string;
  readonly after?: string;
  /** Whether it compiles code as it runs: Node does. */
  readonly compiles?: boolean;
}

/** The user that a member's services run as. */
export const USER = 'yaoji';

/** The text of a unit file. Throws when a path in it would have to be quoted. */
export function unitOf({ description, command, args, environment, data, after, compiles }: Service): string {
  const words = [command, ...args];
  for (const word of [...words, environment, data ?? '']) checkWord(word);
  return `[Unit]
Description=${description}
Wants=network-online.target
After=network-online.target${after === undefined ? '' : ` ${after}`}
StartLimitIntervalSec=0

[Service]
User=${USER}
WorkingDirectory=${dirname(dirname(environment))}
EnvironmentFile=${environment}
ExecStart=${words.join(' ')}
Restart=always
RestartSec=2
TimeoutStopSec=30
LimitNOFILE=65536
UMask=0077
StandardInput=null
NoNewPrivileges=yes
CapabilityBoundingSet=
ProtectSystem=strict
ProtectHome=read-only
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
RestrictAddressFamilies=AF_INET AF_INET6 AF_NETLINK AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
${compiles ? '' : 'MemoryDenyWriteExecute=yes\n'}${data === undefined ? '' : `ReadWritePaths=${data}\n`}
[Install]
WantedBy=multi-user.target
`;
}

/** The text of a file with an environment. What belongs to whoever writes it rather than to the process is left out. */
export function environmentOf(env: NodeJS.ProcessEnv): string {
  const { PATH: _path, HOME: _home, TMPDIR: _tmpdir, ...settings } = env;
  const lines = Object.entries(settings).map(([name, value = '']) => `${name}=${quoted(value)}`);
  return `${lines.sort().join('\n')}\n`;
}

/** What systemd calls the unit of a node. */
export const unitName = (node: string): string => `yaoji-${node}.service`;

function quoted(value: string): string {
  if (/^[\w@%+=:,./[\]-]*$/.test(value)) return value;
  if (/['\\\n]/.test(value)) throw new Error(`a setting may have no quotes, no backslash: ${value}`);
  return `'${value}'`;
}

function checkWord(word: string): void {
  if (!/^[\w@+=:,./-]*$/.test(word)) {
    throw new Error(`${word}: a path in a unit may have letters, digits and @ + = : , . / - _ only`);
  }
}
