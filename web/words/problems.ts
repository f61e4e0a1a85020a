import { REFUSALS, type Refusal } from '@yaoji/chaincode/core';
import type { Words } from './page.ts';

// What went wrong, in Chinese and English, by code. Codes are part of every answer and are kept for ever. The English of a
// refusal is core's; its Chinese stands here, and a refusal without one does not compile.

const REFUSALS_ZH: Readonly<Record<Refusal, string>> = {
  ENTRY_MALFORMED: '记录格式不正确，或内容与该步骤不符',
  STATION_UNKNOWN: '该工位未登记',
  STATION_FOREIGN: '该工位属于其他机构或场所',
  STATION_REVOKED: '该工位已被注销',
  ROLE_NOT_ALLOWED: '该工位无权记录此步骤',
  N_USED: '该工位已用过这个序号',
  N_TOO_OLD: '序号比该工位最新序号落后超过 1024',
  SIGNATURE_BAD: '签名不成立',
  SITE_UNKNOWN: '该场所未登记',
  RULES_UNKNOWN: '该场所采用的规则集未知',
  TIME_FUTURE: '事件时间晚于当前时间',
  TIME_TOO_OLD: '事件时间早于 30 天前',
  TIME_ORDER: '事件时间早于其前一步骤',
  SUBJECT_EXISTS: '该对象已存在',
  SUBJECT_UNKNOWN: '该对象不存在',
  SUBJECT_WRONG_KIND: '该步骤针对的是另一类对象',
  LINK_UNKNOWN: '关联对象不存在，或类别不符',
  STEP_NOT_LEGAL: '当前状态不允许此步骤',
  NOT_OPENER: '只有开启该轨迹的机构可以记录此步骤',
  NOT_CUSTODIAN: '只有当前保管方可以记录此步骤',
  NOT_NAMED: '交接指定的是另一机构',
  PRESCRIPTION_NOT_ROUTED: '处方尚未派单',
  PRESCRIPTION_REVOKED: '处方已撤回',
  PRESCRIPTION_EXPIRED: '处方已过有效期',
  PRESCRIPTION_USED: '处方已无可用次数',
  CENTRE_NOT_NAMED: '处方派给了其他煎药中心',
  PLAN_DIFFERS: '煎煮方案或取药方式与处方不一致',
  TOO_LATE_ACCEPTED: '已有煎药中心接方',
  SAME_PERSON: '此步骤须由两名不同人员完成',
  APPROVER_MISSING: '让步放行须有批准人',
  DURATION_IMPOSSIBLE: '两个事件的时间间隔不可能',
  RUN_EXISTS: '该煎煮锅次已存在',
  RUN_UNKNOWN: '该煎煮锅次不存在',
  STAGE_NOT_LEGAL: '该锅次的当前阶段不允许此步骤',
  RUN_NOT_STRAINED: '有锅次尚未滤过',
  DEVICE_BUSY: '该设备正用于另一锅次',
  DEVICE_DIRTY: '该设备尚未清洗',
  DEVICE_DIFFERS: '不是该锅次占用的设备',
  DEVICE_CLEAN: '该设备已经清洗',
  ALREADY_DONE: '此前已完成，且只能完成一次',
  PACKAGES_TWICE: '同一包裹出现了两次',
  PACKAGE_NOT_NAMED: '分装记录中没有该包裹',
  TOKEN_USED: '该追溯码已用于另一包裹',
  NOT_ALL_LABELLED: '尚有包裹未贴标',
  DEVIATION_OPEN: '有未关闭的偏差',
  NO_DEVIATION: '没有未关闭的偏差',
  PACKAGES_DIFFER: '包裹数与分装记录不一致',
  SEAL_DIFFERS: '封签与该包裹不符',
  BAGS_DIFFER: '袋数不一致',
  HANDOVER_DIFFERS: '不是同一次交接',
  NOT_A_COURIER: '接收方不是配送机构',
  MODE_DIFFERS: '取药方式不允许此步骤',
  TOO_EARLY: '尚未到可执行此步骤的时间',
};

// What no ledger says: about a request, a key, an item that was not stored, or a registration.
const OTHERS = {
  REQUEST_MALFORMED: { zh: '请求不正确', en: 'the request is malformed' },
  NONCE_BAD: { zh: 'nonce 须为 24 字节的 base64url', en: 'nonce must be 24 bytes in base64url' },
  ROUTE_UNKNOWN: { zh: '没有这个地址', en: 'there is nothing at this address' },
  METHOD_NOT_ALLOWED: { zh: '该地址不支持此方法', en: 'this address does not support this method' },
  TOO_MANY_REQUESTS: { zh: '请求过于频繁，请稍后再试', en: 'too many requests: try again later' },
  INTERNAL: { zh: '服务内部错误', en: 'the service made a mistake' },
  LEDGER_UNAVAILABLE: {
    zh: '账本暂时无法访问，请稍后再试',
    en: 'the ledger cannot be reached: asking again is safe',
  },

  STORE_UNAVAILABLE: {
    zh: '数据库暂时不可用，请稍后重试，重试不会重复记录',
    en: 'the store cannot be used now: asking again is safe',
  },
  QUEUE_FULL: {
    zh: '等待账本确认的事件过多，请稍后重试',
    en: 'too many events wait for the ledger: try again later',
  },

  BODY_TYPE_WRONG: {
    zh: '请求体必须是未压缩的 UTF-8 application/json',
    en: 'the body must be application/json, in UTF-8 and not compressed',
  },
  BODY_TOO_LARGE: { zh: '请求体过大', en: 'the body is too large' },
  BODY_NOT_UTF8: { zh: '请求体不是 UTF-8 编码', en: 'the body is not UTF-8' },
  BODY_NOT_JSON: { zh: '请求体不是 JSON', en: 'the body is not JSON' },
  JSON_NOT_STRICT: {
    zh: '请求体虽是 JSON，但含有空值、小数、不允许的名称或层级过深',
    en: 'the body is JSON with a null, a fraction, a name that is not allowed, or too deep a nesting',
  },
  JSON_DUPLICATE_NAME: {
    zh: '请求体中有重名成员',
    en: 'a name stands twice in an object of the body',
  },
  FIELD_UNKNOWN: { zh: '含有未知字段', en: 'a field is unknown' },
  FIELD_MISSING: { zh: '缺少字段', en: 'a field is missing' },
  VALUE_BAD: { zh: '字段的值不正确', en: "a field's value is not what it should be" },
  EVENTS_COUNT: { zh: '一次须提交 1 至 500 个事件', en: 'a request carries 1 to 500 events' },

  API_KEY_MISSING: { zh: '需要 API 密钥', en: 'an API key is needed' },
  API_KEY_BAD: { zh: 'API 密钥无效', en: 'the API key is not valid' },
  API_KEY_ROLE_WRONG: { zh: '该 API 密钥无此权限', en: 'this API key may not do this' },

  PACKAGE_UNKNOWN: { zh: '没有这个追溯码', en: 'no box has this code' },
  ANCHOR_UNKNOWN: { zh: '没有这个锚定', en: 'there is no such anchor' },
  CHAIN_ABSENT: { zh: '未配置公链，不做锚定', en: 'no chain is configured: nothing is anchored' },
  RECEIPT_UNKNOWN: { zh: '没有这个事件', en: 'there is no such event' },

  ITEM_MALFORMED: { zh: '事件格式不正确', en: 'the event is not well formed' },
  N_CONFLICT: {
    zh: '该工位的这个序号已用于内容不同的事件',
    en: 'this number of the station names another event',
  },
  PRINCIPAL_FOREIGN: {
    zh: '该 API 密钥属于其他机构或场所',
    en: 'the API key belongs to another organisation or site',
  },
  STATION_NOT_HOSTED: {
    zh: '服务不保管该工位的密钥，事件须由工位签名',
    en: "the service does not hold this station's key: the station must sign",
  },
  DISCLOSURE_FOREIGN: {
    zh: '披露的字段与记录中的承诺不符',
    en: 'a disclosure is not one that the entry commits to',
  },

  REGISTRATION_REFUSED: { zh: '账本拒绝了登记', en: 'the ledger refused the registration' },
  STATION_EXISTS: { zh: '该工位已存在，且内容不同', en: 'this station exists already with other content' },
  KEY_BAD: { zh: '公钥不是 P-256 密钥', en: 'the key is not a P-256 public key' },
  MEMBER_UNKNOWN: { zh: '该机构不是联盟成员', en: 'this organisation is not a member' },
  NOT_A_CENTRE: { zh: '只有煎药中心可以登记设备', en: 'only decoction centres have devices' },
} as const satisfies Record<string, Words>;

/** Every code that a problem can have. */
export type ProblemCode = Refusal | keyof typeof OTHERS;

const refusals = Object.fromEntries(
  (Object.keys(REFUSALS) as Refusal[]).map((code) => [code, { zh: REFUSALS_ZH[code], en: REFUSALS[code] }]),
) as Record<Refusal, Words>;

/** The title of every problem in both languages. */
export const PROBLEM_TITLES: Readonly<Record<ProblemCode, Words>> = { ...OTHERS, ...refusals };

/** Whether this is the code of a problem. */
export const isProblemCode = (code: string): code is ProblemCode => Object.hasOwn(PROBLEM_TITLES, code);
