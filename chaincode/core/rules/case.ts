import type * as z from 'zod/mini';
import type { Refusal } from './codes.ts';
import type { RuleSet } from './rule-sets.ts';
import type { Kind, State, SubjectKind } from './state.ts';

/** Everything that one row of the table may look at: the entry's open fields and the states it touches. */
export interface Case<K extends SubjectKind, Open = unknown> {
  subject: string;
  links: readonly string[];
  org: string;
  open: Open;
  /** the event's and the transaction's minute */
  time: number;
  at: number;
  rules: RuleSet;
  own: NonNullable<State<K>>['own'];
  /** absent where only trails can be seen: a need about it then holds */
  linked: State<K>['linked'];
  /** the linked subjects, where they can be seen */
  rx: State<'RX'> | undefined;
  ful: State<'FUL'> | undefined;
  devs: ReadonlyMap<string, State<'DEV'>>;
  /** what kind of member an organisation is; undefined: none; 'unseen': cannot be seen */
  kindOf: (org: string) => Kind | 'unseen' | undefined;
  /** whether the token of this label already stands on another package */
  tokenUsed: boolean;
}

/** A condition of a row: undefined when it holds or cannot be seen, else why the entry is refused. */
export type Need<K extends SubjectKind, Open = unknown> = (c: Case<K, Open>) => Refusal | undefined;

export type Shape = Readonly<Record<string, z.ZodMiniType>>;
type OptionalNames<S extends Shape> = {
  [N in keyof S]: undefined extends z.infer<S[N]> ? N : never;
}[keyof S];
export type Fields<S extends Shape> = { [N in Exclude<keyof S, OptionalNames<S>>]: z.infer<S[N]> } & {
  [N in OptionalNames<S>]?: z.infer<S[N]>;
};
