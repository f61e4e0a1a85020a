/** A command's options with their values, as arguments: `--name value …`. */
export function flags(values: Readonly<Record<string, string>>): string[] {
  return Object.entries(values).flat();
}
