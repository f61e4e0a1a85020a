import type { CheckId } from '@yaoji/chaincode/core';
import type { Words } from './page.ts';

// The words of the list of checks: the browser loads them once the verdict stands. So nothing but types may be imported here.

const words = (zh: string, en: string): Words => ({ zh, en });

/** The list. */
export const LIST = {
  list: words('核对了什么', 'What was checked'),
  shows: words('说明什么', 'Shows'),
  honest: words('谁必须诚实', 'Who must be honest'),
  found: words('结果', 'Found'),
  wrong: words('哪里不对', 'What is wrong'),
  why: words('为什么', 'Why'),
  place: words('“{step}”这一步（{hour}）', 'in the step “{step}” ({hour})'),
  required: words('必须通过', 'required'),
} as const;

const NOBODY = words('不需要谁诚实', 'Nobody');
const GIVEN_VIEW = words(
  '不需要谁诚实，只要账本状态属实（看“多方签名”）',
  'Nobody, given the view of the ledger (see endorsement)',
);
const COLLUDING = words(
  '合谋的机构少于规定的数目',
  'Fewer organisations collude than the required number of signers',
);

/** The checks of a report: what each shows, and who must be honest for it to mean something. */
export const CHECK: Readonly<Record<CheckId, { name: Words; shows: Words; honest: Words }>> = {
  form: {
    name: words('格式', 'Form'),
    shows: words(
      '存证包完整规范，没有多余或重复的内容',
      'The bundle is well formed: nothing unknown, nothing twice',
    ),
    honest: NOBODY,
  },
  box: {
    name: words('药箱', 'Box'),
    shows: words(
      '记录属于这个二维码，标签没有被换过',
      'The record belongs to this QR code, and the label was not replaced',
    ),
    honest: GIVEN_VIEW,
  },
  signatures: {
    name: words('签名', 'Signatures'),
    shows: words(
      '每一步都由所写机构登记过的工作站签了名',
      'Each step was signed by a station of the organisation it names, enrolled at that time',
    ),
    honest: words('该机构保管密钥的人', 'Whoever holds that organisation’s keys'),
  },
  trail: {
    name: words('经过', 'Trail'),
    shows: words(
      '从第一步到现在一环扣一环：没有加、没有删、没有换顺序',
      'Unbroken from the first step to now: nothing added, removed or reordered',
    ),
    honest: GIVEN_VIEW,
  },
  rules: {
    name: words('规则', 'Rules'),
    shows: words(
      '就所见的经过看，每一步在当时都符合规则，并且正好得出账本上的状态',
      'As far as the shown trails can tell, every step was legal when it was taken, and together they lead to the state on the ledger',
    ),
    honest: words(
      '不需要谁诚实，只要账本状态属实；涉及设备和别的药箱的部分：签名的机构',
      'Nobody, given the view; for what concerns devices and other boxes: the signing organisations',
    ),
  },
  disclosures: {
    name: words('公开的内容', 'Disclosures'),
    shows: words('显示出来的每一项都是当时写下的那一项', 'Each shown field is the one that was committed to'),
    honest: NOBODY,
  },
  inclusion: {
    name: words('入账', 'Inclusion'),
    shows: words(
      '经过的最后一步在该机构的公共日志里',
      'The end of each trail is in its organisation’s log on the ledger',
    ),
    honest: GIVEN_VIEW,
  },
  endorsement: {
    name: words('多方签名', 'Endorsement'),
    shows: words(
      '足够多的机构各自签名，证明账本上就是这个状态',
      'Enough organisations each signed that this is the very state of the ledger',
    ),
    honest: COLLUDING,
  },
  fresh: {
    name: words('新旧', 'Freshness'),
    shows: words(
      '账本状态是刚刚取的，不是旧的',
      'The state of the ledger was taken just now and is not an old one',
    ),
    honest: COLLUDING,
  },
  ordering: {
    name: words('排序', 'Ordering'),
    shows: words('多数排序节点签了装着它的区块', 'A quorum of orderers signed the block that carried it'),
    honest: words('合谋的排序节点不到多数', 'Fewer than a quorum of orderers collude'),
  },
  anchor: {
    name: words('公链存证', 'Anchor'),
    shows: words(
      '这些日志在某个时间之前已公布在公链上',
      'The logs were public on a chain by a certain block',
    ),
    honest: words(
      '不需要谁诚实，只要从别处得到公链的区块头',
      'Nobody, given a block header of the chain from elsewhere',
    ),
  },
};

/** What was found, or why a check was not made, as far as it can be said in plain words. */
export const FOUND = {
  unreadable: words('存证包读不懂', 'The bundle cannot be read'),
  noToken: words('没有给出箱上的码', 'No token was given'),
  unknownRules: words('用了这里不认识的规则集', 'It uses a rule set that is not known here'),
  signed: words(
    '{organisations} 家中的 {signed} 家签了名，至少要 {threshold} 家',
    '{signed} of {organisations} signed; {threshold} are needed',
  ),
  oneOperator: words(
    '都对得上；但这是演示账本，一个运营者掌管所有密钥，对得上也说明不了什么，所以只算未检查',
    'It adds up; but on this demonstration ledger one operator holds every key, so that shows nothing and only counts as not checked',
  ),
  taken: words('取于 {time}', 'Taken at {time}'),
  old: words(
    '取于 {time}，不是刚取的：之后的步骤不在里面',
    'Taken at {time}, which is not just now: later steps are not in it',
  ),
  ordering: words(
    '存证包里没有装着区块，所以没有查是谁排的先后。这不影响其他各项。另外，区块上若只有一个签名，那只是一个排序节点的话',
    'The bundle carries no block, so who put the transactions in order was not looked at. No other check rests on it. And a block with a single signature is one orderer’s word only',
  ),
  unanchored: words(
    '还没有公链存证：这段时间里，只有账本的各机构为时间作证',
    'Nothing is on a public chain yet: until then only the ledger’s members vouch for the time',
  ),
  noChain: words('信任文件没有写明认哪条公链', 'The trust file names no chain'),
  boxUnanchored: words('公链存证里还没有这箱药的记录', 'No record of this box is on the chain yet'),
  lookUp: words(
    '存证说：{time} 写进了链 {chain} 的第 {block} 块。请从别处（例如区块浏览器）查到这一块的哈希，粘贴在下面核对',
    'It says: written to block {block} of {chain} at {time}. Look up the hash of that block elsewhere (a block explorer), and paste it below to compare',
  ),
  developmentChain: words(
    '第 {block} 块（{time}）对得上；但 {chain} 是开发链，由一个运营者运行，对得上也说明不了什么，所以只算未检查',
    'Block {block} ({time}) matches; but {chain} is a development chain, run by one operator, so that shows nothing and only counts as not checked',
  ),
  public: words('在公链 {chain} 的第 {block} 块，{time}', 'In block {block} of {chain}, {time}'),
  later: words(
    '。最新的 {later} 条记录在这之后，还没有存证',
    '. The latest {later} record(s) came after it and are not anchored yet',
  ),
} as const;

/** The reader's own block hash. */
export const BLOCK = {
  label: words('{chain} 第 {block} 块的哈希（0x 开头）', 'Hash of block {block} of {chain} (0x…)'),
  compare: words('核对', 'Compare'),
  malformed: words(
    '这不是区块的哈希：应是 0x 加 64 个 0–9、a–f 的字符。',
    'This is no block hash: it is 0x and 64 characters of 0–9, a–f.',
  ),
} as const;

/** The bytes, for whoever wants them. */
export const BYTES = {
  title: words('字节：给想自己核对的人', 'The bytes, for whoever wants them'),
  details: words('每一项的原文', 'Each check in its own words'),
  view: words('账本状态取于（UTC）', 'View of the ledger taken (UTC)'),
  channel: words('通道 / 合约', 'Channel / contract'),
  trail: words(
    '经过 {subject}：{records} 条，最后一条的哈希',
    'Trail {subject}: {records} records, hash of the last',
  ),
  log: words('日志 {org}：{size} 条，树根', 'Log of {org}: {size} records, root'),
  chain: words('公链 / 合约 / 序号', 'Chain / contract / number'),
  block: words('第 {block} 块（{time}）的哈希', 'Hash of block {block} ({time})'),
  bundleHash: words('存证包的 SHA-256', 'SHA-256 of the bundle'),
  trustHash: words('信任文件的 SHA-256', 'SHA-256 of the trust file'),
  trustNote: words(
    '信任文件和这一页来自同一个服务器。第一次打开时，您只能相信它；可以把这个数和印在别处的比对，或者用离线工具核对。',
    'The trust file came from the same server as this page. On a first visit you have to take it as it is: compare this number with one printed elsewhere, or use the offline tool.',
  ),
} as const;
