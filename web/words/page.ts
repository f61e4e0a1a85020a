import type { CheckId, Outcome } from '@yaoji/chaincode/core';

// Every text of a box's page. Chinese first; English is shown below it, smaller. `{name}` is filled in.

/** The same thing said in both languages. */
export interface Words {
  zh: string;
  en: string;
}

const words = (zh: string, en: string): Words => ({ zh, en });

export const PRODUCT = words('药迹', 'Yaoji');

/** What the page says on its own, before anything is checked. */
export const PAGE = {
  title: words('这箱药在哪里', 'Where this box is'),
  custodian: words('现由 {name} 保管', 'Now held by {name}'),
  deliverer: words('由 {name} 交付', 'Delivered by {name}'),
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
  seal: words('封签号', 'Seal number'),
  bags: words('袋数', 'Bags'),
  bagCount: words('{count} 袋', '{count} bags'),
  bestBefore: words('请在此前服用', 'Best before'),
  centre: words('煎药中心', 'Decoction centre'),
  unknown: words('没有提供', 'Not given'),
  steps: words('每一步', 'Step by step'),
  stepsNote: words('北京时间，精确到小时，从先到后。', 'China time, to the hour, oldest first.'),
  noSteps: words('还没有记录。', 'No steps yet.'),
  noTime: words('时间不明', 'Time unknown'),
  serviceWord: words('本服务的说法，尚未核对', 'What the service says, not checked'),
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

/** Whose steps they are. */
export const WHO = {
  centre: words('煎药中心', 'Decoction centre'),
  courier: words('快递', 'Courier'),
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
  ok: words('核对通过：{passed} 项通过，{open} 项未检查。', 'Checked: {passed} passed, {open} not checked.'),
  okMeans: words(
    '这箱药的记录完整，没有被改过；二维码属于这一箱。请再比对封签号。',
    'The record of this box is complete and unchanged, and the code belongs to it. Now compare the seal number.',
  ),
  okMeansDemo: words(
    '这箱药的记录前后一致，二维码属于这一箱；但账本是演示用的，不能证明真实的药。',
    'The record of this box is consistent and the code belongs to it; but the ledger is a demonstration and proves nothing about real medicine.',
  ),
  partly: words(
    '只核对了一部分：{passed} 项通过，{open} 项未检查。',
    'Checked in part only: {passed} passed, {open} not checked.',
  ),
  partlyMeans: words(
    '没有发现不对的地方，但重要的项目还没有检查，不能说这份记录可靠。',
    'Nothing was found to be wrong, but important checks were not made: this does not show that the record can be relied on.',
  ),
  clock: words(
    '也请看看手机的时间准不准：时间差几分钟，“新旧”这一项就不会通过。',
    'Also look at this device’s clock: if it is some minutes off, the freshness check fails.',
  ),
  bad: words('核对不通过：{failed} 项不对。', 'The check failed: {failed} did not hold.'),
  badMeans: words(
    '记录被改过、不完整，或者不属于这一箱。弄清楚之前请不要服用，并联系煎药中心。',
    'The record was changed, is incomplete, or belongs to another box. Do not take the medicine before this is cleared up; ask the decoction centre.',
  ),
  demo: words(
    '演示账本：所有密钥都在同一个运营者手里，谁的签名都不能为别人作证。',
    'Demonstration ledger: one operator holds every key, so nobody’s signature vouches for anybody else.',
  ),
  storyChecked: words('取自您的浏览器核对过的记录', 'From the record that your browser checked'),
  storyDiffers: words(
    '核对过的记录和服务器先前显示的不一样（可能有新的步骤，或有的步骤还没有确认）。现在显示的是核对过的。',
    'The checked record differs from what the server showed before (there may be new steps, or some not confirmed yet). You now see the checked one.',
  ),
  storyBad: words('核对不通过，不要相信下面的内容', 'The check failed: do not rely on what follows'),
  list: words('核对了什么', 'What was checked'),
  toList: words('看每一项', 'See each check'),
  shows: words('说明什么', 'Shows'),
  honest: words('谁必须诚实', 'Who must be honest'),
  found: words('哪里不对', 'What is wrong'),
  technical: words('技术细节', 'Technical detail'),
  required: words('必须通过', 'required'),
  trustHash: words('信任文件的 SHA-256', 'SHA-256 of the trust file'),
  trustNote: words(
    '信任文件和这一页来自同一个服务器。第一次打开时，您只能相信它；可以把这个数和印在别处的比对，或者用离线工具核对。',
    'The trust file came from the same server as this page. On a first visit you have to take it as it is: compare this number with one printed elsewhere, or use the offline tool.',
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

/** Fills `{name}`s in. */
export function filled({ zh, en }: Words, values: Readonly<Record<string, string | number>>): Words {
  const fill = (text: string): string =>
    text.replaceAll(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
  return words(fill(zh), fill(en));
}
