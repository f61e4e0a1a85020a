import type { CheckId, Outcome } from '@yaoji/chaincode/core';

// Every text of a box's page. Chinese first; English is shown below it, smaller. `{name}` is filled in.

/** The same thing said in both languages. */
export interface Words {
  zh: string;
  en: string;
}

/* @__NO_SIDE_EFFECTS__ */
function words(zh: string, en: string): Words {
  return { zh, en };
}

export const PRODUCT = words('药迹', 'Yaoji');

/** What only the server says: the browser's script does not carry it. */
export const PAGE = {
  title: words('这箱药在哪里', 'Where this box is'),
  largeType: words('大字版', 'Large type'),
  check: words('核对', 'Check'),
  notChecked: words('还没有核对任何内容', 'Nothing has been checked yet'),
  serviceSays: words(
    '这一页目前只是本服务的说法。真正的核对在您自己的浏览器里进行，不必相信本服务。',
    'So far this page is only what the service says. The check itself runs in your own browser, without taking the service’s word for it.',
  ),
  noScript: words(
    '您的浏览器没有运行脚本，所以没有核对。可以开启 JavaScript 后重新打开，或者保存存证包，用离线工具核对。',
    'Your browser runs no scripts, so nothing was checked. Open the page again with JavaScript on, or save the bundle and check it with the offline tool.',
  ),
  unsettled: words(
    '另有 {count} 条新记录还没有得到账本确认，之后可能更改或被退回。',
    '{count} more new event(s) are not yet confirmed by the ledger; they may still change or be refused.',
  ),
  label: words('箱子标签', 'The label on the box'),
  compare: words(
    '请和手里的箱子比对。封签号不一样，就不是这一箱。',
    'Compare with the box in your hands: another seal number means another box.',
  ),
  steps: words('这箱药的经过', 'The way of this box'),
  stepsNote: words('北京时间，精确到小时，从先到后。', 'China time, to the hour, oldest first.'),
  save: words('保存存证包', 'Save the bundle'),
  saveNote: words(
    '一个文件，装着核对所需的一切，不联网也能核对。它和二维码一样：谁拿到都能看到这箱药的经过。',
    'One file with everything needed to check this box, also offline. Like the QR code, it shows this box’s way to whoever has it.',
  ),
  whoSees: words(
    '有箱上二维码的人都能打开这一页。这里看不到是谁的药、谁开的方、方里有什么。',
    'Whoever has the QR code of the box can open this page. It does not show whose medicine it is, who prescribed it, or what is in it.',
  ),
} as const;

/** The box's story. */
export const STORY = {
  custodian: words('现由 {name} 保管', 'Now held by {name}'),
  deliverer: words('由 {name} 交付', 'Delivered by {name}'),
  seal: words('封签号', 'Seal number'),
  bags: words('袋数', 'Bags'),
  bagCount: words('{count} 袋', '{count} bags'),
  bestBefore: words('请在此前服用', 'Best before'),
  centre: words('煎药中心', 'Decoction centre'),
  unknown: words('没有提供', 'Not given'),
  hour: words('{day} {from} 时', '{day} {from} h'),
  hours: words('{day} {from}–{to} 时', '{day} {from}–{to} h'),
  daysAndHours: words('{day} {from} 时 – {lastDay} {to} 时', '{day} {from} h – {lastDay} {to} h'),
  noSteps: words('还没有记录。', 'No steps yet.'),
  noTime: words('时间不明', 'Time unknown'),
  serviceWord: words('本服务的说法，尚未核对', 'What the service says, not checked'),
} as const;

export const NOT_FOUND = {
  title: words('没有这箱药的记录', 'There is no record for this code'),
  why: words(
    '可能是二维码没有扫全，或者网址输错了，也可能记录已经按要求删除。请再扫一次箱上的二维码。',
    'The code may have been scanned or typed incompletely, or its record was erased on request. Please scan the code on the box again.',
  ),
  beware: words(
    '如果这是从药箱上完整扫出来的，请先不要服用，并联系煎药中心。',
    'If this came from a complete scan of a box, do not take the medicine yet; ask the decoction centre.',
  ),
} as const;

/** The first sentence of the page: where the box is now. By the package's phase. */
export const WHERE: Readonly<Record<string, Words>> = {
  LABELLED: words('药已煎好装箱，还在煎药中心。', 'Boiled and packed; still at the decoction centre.'),
  HANDED_OVER: words(
    '药箱正在交接，等快递确认收到。',
    'Being handed over; the courier has not confirmed yet.',
  ),
  IN_CUSTODY: words('药箱已由快递收下，正在运送。', 'The courier has the box; it is on its way.'),
  OUT: words('快递员正在派送这箱药。', 'Out for delivery.'),
  DELIVERED: words('这箱药已经送达。', 'The box has been delivered.'),
  CLOSED: words('这箱药早已送达，记录已归档。', 'Delivered some time ago; its record is closed.'),
};
export const WHERE_UNKNOWN = words('现在说不清药箱在哪里。', 'It is not known where the box is now.');

/** The stages of a box's way; `mark` is the one character that stands for it in the picture. */
export const STAGE = {
  PRESCRIBED: { ...words('处方', 'Prescription'), mark: '方' },
  DISPENSED: { ...words('调配', 'Dispensing'), mark: '配' },
  SOAKED: { ...words('浸泡', 'Soaking'), mark: '泡' },
  BOILED: { ...words('煎煮', 'Boiling'), mark: '煎' },
  PACKED: { ...words('包装', 'Packing'), mark: '装' },
  QUALITY: { ...words('质检', 'Quality control'), mark: '检' },
  HANDOVER: { ...words('交接', 'Handover'), mark: '交' },
  CARRIED: { ...words('配送', 'On its way'), mark: '送' },
  ARRIVED: { ...words('送达', 'Delivered'), mark: '达' },
} as const satisfies Readonly<Record<string, Words & { mark: string }>>;
export type StageId = keyof typeof STAGE;

/** The picture of the way. */
export const WAY = {
  overview: words('走到哪一步', 'How far it has come'),
  steps: words('看这 {count} 步', 'See these {count} steps'),
  gave: words('交出', 'Handed over by'),
  took: words('收下', 'Taken over by'),
  waiting: words('对方还没有确认收到', 'The other side has not confirmed yet'),
  you: words('您', 'You'),
} as const;

/** What an open field of a step adds to its name: field → value → words. `!` before it: something is not as it should be. */
export const OPEN: Readonly<Record<string, Readonly<Record<string, Words>>>> = {
  stage: { FIRST: words('头煎', 'first boil'), SECOND: words('二煎', 'second boil') },
  kind: {
    FIRST: words('先煎的药', 'those boiled first'),
    MAIN: words('主药', 'the main part'),
    LATE: words('后下的药', 'those added late'),
    WRAP: words('包煎的药', 'those boiled in a cloth'),
  },
  result: {
    PASS: words('合格', 'passed'),
    FAIL: words('！不符，退回重配', '! did not match, sent back'),
    CONCESSION: words('！有偏差，经第二人批准放行', '! deviation, accepted by a second person'),
    REWORK: words('！不合格，返工', '! not passed, to be done again'),
    SCRAP: words('！不合格，报废', '! not passed, scrapped'),
  },
  sealIntact: { true: words('封签完好', 'seal intact'), false: words('！封签破损', '! seal broken') },
  dir: { IN: words('到站', 'arrived'), OUT: words('离站', 'left') },
  proof: {
    CODE: words('凭取件码', 'by pick-up code'),
    SIGN: words('签字', 'signed for'),
    HEALTHCODE: words('凭码签收', 'by personal code'),
    LOCKER: words('放入自提柜', 'into a locker'),
  },
  outerInnerMatch: {
    true: words('内外标签一致', 'inner and outer labels agree'),
    false: words('！内外标签不一致', '! inner and outer labels differ'),
  },
  bagCountOk: {
    true: words('袋数相符', 'bags complete'),
    false: words('！袋数不符', '! number of bags differs'),
  },
};
/** Steps that say by themselves that something was not as it should be. */
export const DEVIATION = words('！与规定不同，由质检决定', '! not as the rules say; quality control decides');

/** The three outcomes: never to be confused, also without colour. */
export const OUTCOME: Readonly<Record<Outcome, Words & { symbol: string }>> = {
  passed: { ...words('通过', 'Passed'), symbol: '✓' },
  failed: { ...words('不通过', 'Failed'), symbol: '✕' },
  'not-checked': { ...words('未检查', 'Not checked'), symbol: '?' },
};

/** While checking, and what came of it. */
export const CHECKING = {
  running: words('正在您的浏览器里核对……', 'Checking in your browser …'),
  compareSeal: words('请再比对箱上的封签号。', 'Now compare the seal number on the box.'),
  partlyMeans: words(
    '没有发现不对的地方，但重要的项目还没有检查，不能说这份记录可靠。',
    'Nothing was found to be wrong, but important checks were not made: this does not show that the record can be relied on.',
  ),
  clock: words(
    '也请看看手机的时间准不准：时间差几分钟，“新旧”这一项就不会通过。',
    'Also look at this device’s clock: if it is some minutes off, the freshness check fails.',
  ),
  badMeans: words(
    '弄清楚之前请不要服用，并联系煎药中心。',
    'Do not take the medicine before this is cleared up; ask the decoction centre.',
  ),
  oldMeans: words(
    '要知道现在的情况，请再问一次账本。',
    'To know how things stand now, ask the ledger again.',
  ),
  demo: words(
    '演示账本：所有密钥都在同一个运营者手里，谁的签名都不能为别人作证，也不能证明真实的药。',
    'Demonstration ledger: one operator holds every key, so nobody’s signature vouches for anybody else, and nothing is proved about real medicine.',
  ),
  counts: words(
    '{passed} 项通过，{failed} 项不通过，{open} 项未检查。时间都是北京时间。',
    '{passed} passed, {failed} failed, {open} not checked. Times are China time.',
  ),
  savedFile: words(
    '这是您打开的文件“{name}”，不是账本现在的状态：它之后的步骤不在里面。',
    'This is the file “{name}” that you opened, not how the ledger stands now: later steps are not in it.',
  ),
  askedNow: words(
    '这次的回答带着您的浏览器刚抽的随机数：它不可能是预先做好的。',
    'This answer carries a number that your browser has just drawn: it cannot have been made beforehand.',
  ),
  again: words('现在再问一次账本', 'Ask the ledger again now'),
  notAsked: words(
    '没有问成，上面仍是先前的结果。',
    'The ledger was not asked; what stands above is the earlier result.',
  ),
  noList: words(
    '每一项的说明没有载入，请刷新这一页。上面的结果不变。',
    'The words of each check were not loaded; please load this page again. The result above stands.',
  ),
  storyChecked: words('取自您的浏览器核对过的记录', 'From the record that your browser checked'),
  storyOld: words(
    '核对过，但不是最新的：之后的步骤不在里面',
    'Checked, but not the latest: later steps are not in it',
  ),
  storyBefore: words(
    '下面是先前的内容，不是您打开的文件里的',
    'What follows is from before, not from the file that you opened',
  ),
  storyDiffers: words(
    '核对过的记录和服务器先前显示的不一样（可能有新的步骤，或有的步骤还没有确认）。现在显示的是核对过的。',
    'The checked record differs from what the server showed before (there may be new steps, or some not confirmed yet). You now see the checked one.',
  ),
  storyBad: words('核对不通过，这里的内容不可信', 'The check failed: do not rely on this'),
  toList: words('看每一项', 'See each check'),
} as const;

/** The first sentence of a report, in parts: each stands only where it has been shown. */
export const SENTENCE = {
  whole: words(
    '这箱药的经过完整、没有改过，截至 {time}',
    'This box’s trail is complete and unaltered as of {time}',
  ),
  consistent: words('这箱药的经过前后一致，截至 {time}', 'This box’s trail is consistent as of {time}'),
  later: words('之后的步骤不在里面', 'later steps are not in it'),
  vouched: words(
    '{organisations} 家机构中的 {signed} 家为它作证',
    '{signed} of {organisations} organisations vouch for it',
  ),
  demo: words(
    '账本是演示用的，一个运营者掌管所有密钥',
    'the ledger is a demonstration, and one operator holds every key',
  ),
  noToken: words(
    '没有给出箱上的码，所以没有核对是哪一箱',
    'no token was given, so which box it is was not checked',
  ),
  public: words('{time} 起在公链上公开', 'public since {time}'),
  publicButLater: words(
    '{time} 起在公链上公开，最新的 {later} 条除外',
    'public since {time}, but for the latest {later} record(s)',
  ),
  unconfirmed: words('公链存证等您核对', 'its public record awaits your check'),
  developmentChain: words(
    '{time} 写进了开发链，那不算公开',
    'on a development chain since {time}, which is not public',
  ),
  unanchored: words('还没有公链存证', 'not on a public chain yet'),
  partly: words(
    '只核对了一部分：{passed} 项通过，{open} 项未检查',
    'Checked in part only: {passed} passed, {open} not checked',
  ),
  bad: words('核对不通过：{fails}', 'The check failed: {fails}'),
  more: words('另有 {count} 项也不通过', '{count} more did not pass'),
  old: words(
    '不算通过：这份记录只到 {time}，之后的步骤不在里面；其余各项没有发现不对',
    'Not passed: this record ends at {time}, and later steps are not in it; nothing else was found wrong',
  ),
} as const;

/** A bundle that the reader has saved. */
export const SAVED = {
  title: words('核对存下来的文件', 'Check a saved file'),
  note: words(
    '选一个以前保存的存证包。它只在您的浏览器里打开，不会上传；核对用的是这一页的信任文件和这一箱的码。',
    'Choose a bundle that was saved earlier. It is opened in your browser only and sent nowhere; it is checked with this page’s trust file and this box’s code.',
  ),
  choose: words('选择文件', 'Choose a file'),
  unreadable: words(
    '这个文件不是存证包，读不懂。上面的结果没有变。',
    'This file is no bundle and cannot be read. What stands above is unchanged.',
  ),
} as const;

/** Why there is no result. None of these is ever a *passed*. */
export const TROUBLE = {
  title: words('没有核对成', 'The check could not be made'),
  means: words(
    '这不说明药有问题，也不说明没问题：什么都还没有核对。',
    'This says neither that the medicine is wrong nor that it is right: nothing was checked.',
  ),
  retry: words('再试一次', 'Try again'),
  offline: words(
    '连不上服务器，或者中途断开了。',
    'The server cannot be reached, or the connection broke off.',
  ),
  'not-found': words('服务器说没有这箱药的存证包。', 'The server says that there is no bundle for this box.'),
  busy: words('服务器暂时给不出存证包。', 'The server cannot give the bundle right now.'),
  wait: words('请等 {seconds} 秒再试。', 'Please try again in {seconds} s.'),
  refused: words('服务器的回答出错（{status}）。', 'The server answered with an error ({status}).'),
  unreadable: words('服务器给的数据读不懂。', 'What the server sent cannot be read.'),
  'no-trust': words(
    '缺少可用的信任文件，没有它就不能核对。',
    'There is no usable trust file; nothing can be checked without it.',
  ),
  'no-token': words('这个网址里没有药箱的码。', 'The address of this page holds no code of a box.'),
  bug: words('核对程序自己出错了。', 'The checking program itself failed.'),
} as const;
export type TroubleId = Exclude<keyof typeof TROUBLE, 'title' | 'means' | 'retry' | 'wait'>;

/** What a failed check means for whoever holds the box. */
export const FAILS: Readonly<Record<CheckId, Words>> = {
  form: words('存证包的格式不对，读不懂', 'the bundle is malformed and cannot be read'),
  box: words(
    '记录不属于这个二维码，或者标签被换过',
    'the record does not belong to this QR code, or the label was replaced',
  ),
  signatures: words('有的步骤没有该机构成立的签名', 'a step lacks a valid signature of its organisation'),
  trail: words(
    '经过不完整，有加、删或换过顺序的地方',
    'the trail is not whole: something was added, removed or reordered',
  ),
  rules: words(
    '有的步骤不合规则，或与账本上的状态不符',
    'a step was not legal, or does not lead to the state on the ledger',
  ),
  disclosures: words('显示的内容和当时写下的不一样', 'what is shown is not what was committed to'),
  inclusion: words('经过的最后一步不在公共日志里', 'the end of a trail is not in the log'),
  endorsement: words('没有足够的机构为它作证', 'not enough organisations vouch for it'),
  fresh: words('不能证明这是账本刚才的状态', 'it does not show that this is how the ledger stood just now'),
  ordering: words('不能证明是排序节点排的先后', 'it does not show that the orderers put it in order'),
  anchor: words('公链存证不成立', 'its public record does not hold'),
};

/** Fills `{name}`s in. */
export function filled({ zh, en }: Words, values: Readonly<Record<string, string | number>>): Words {
  const fill = (text: string): string =>
    text.replaceAll(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
  return words(fill(zh), fill(en));
}
