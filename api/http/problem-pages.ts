import { isProblemCode, PROBLEM_TITLES } from '@yaoji/web/words/problems';
import type { RequestHandler } from 'express';
import { Problem, statusOf } from './problems.ts';

/** GET /problems/{code}: what a problem's `type` leads to, for a person or as JSON. */
export const getProblem: RequestHandler<{ code: string }> = ({ params: { code } }, res) => {
  if (!isProblemCode(code)) throw new Problem('ROUTE_UNKNOWN');
  const { zh, en } = PROBLEM_TITLES[code];
  const status = statusOf(code);
  res.format({
    json: () => res.json({ type: `/problems/${code}`, code, status, title: zh, titles: { zh, en } }),
    // Everything here is from our own dictionary, which has no markup in it.
    html: () =>
      res.send(
        `<!doctype html><html lang="zh-CN"><meta charset="utf-8"><title>${code}</title>` +
          `<h1>${code}</h1><p>${zh}</p><p lang="en">${en}</p><p>HTTP ${status}</p></html>\n`,
      ),
  });
};
