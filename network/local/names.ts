// Fixed, so that nothing signed here can be taken for a transaction of a real channel.
export const CHANNEL = 'yaoji-local';
export const CHAINCODE = 'trace';
export const QSCC = 'qscc';
