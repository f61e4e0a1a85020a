import { existsSync, readdirSync, realpathSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

/**
 * Throws unless exactly one copy of @hyperledger/fabric-protos is installed. Its classes register on a global, so two
 * copies in one process corrupt each other without any error: blocks lose fields.
 */
export function checkSingleProtos(): void {
  const resolved = createRequire(import.meta.url).resolve('@hyperledger/fabric-protos/package.json');
  const copies = findCopies(dirname(dirname(dirname(realpathSync(resolved)))));
  if (copies.length === 1) return;
  throw new Error(
    `several copies of @hyperledger/fabric-protos are installed, which corrupt each other: ${copies.join(', ')}`,
  );
}

function findCopies(modules: string): string[] {
  const packages = readdirSync(modules).flatMap((name) =>
    name.startsWith('@') ? readdirSync(join(modules, name)).map((inner) => join(name, inner)) : [name],
  );
  const own = join(modules, '@hyperledger', 'fabric-protos');
  const nested = packages
    .map((name) => join(modules, name, 'node_modules'))
    .filter((path) => existsSync(path));
  return [...(existsSync(own) ? [own] : []), ...nested.flatMap(findCopies)];
}
