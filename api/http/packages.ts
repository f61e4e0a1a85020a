import { BUNDLE_TYPE, fromBase64url, type Reader } from '@yaoji/chaincode/core';
import { renderNotFound, renderPackagePage } from '@yaoji/web/page';
import type { Request, RequestHandler } from 'express';
import type { Principal, Service } from '../service.ts';
import { labelPng, labelSvg } from './label.ts';
import { Problem } from './problems.ts';
import { contextOf } from './context.ts';
import { tokenOf } from './token.ts';

// The routes of a box. Whoever holds its token may come. A code that no box has, one that cannot be a code, and one whose
// box was erased get the same answer.

/** What has a token in its URL is nobody's to index or to keep. */
export const secretUrl: RequestHandler = (_req, res, next) => {
  res.set({ 'Cache-Control': 'no-store', 'X-Robots-Tag': 'noindex, nofollow' });
  next();
};

/** GET /v1/packages/{token}/bundle: everything needed to verify the box without asking anybody. */
export const getBundle =
  (service: Service): RequestHandler =>
  async (req, res) => {
    const token = tokenOf(req);
    const nonce = nonceOf(req);
    const bundle = token && (await service.bundle(token, readerOf(contextOf(res).principal), nonce));
    if (!bundle) throw new Problem('PACKAGE_UNKNOWN');
    res.type(BUNDLE_TYPE).send(JSON.stringify(bundle));
  };

/** 24 bytes in base64url: as many as Fabric's own clients take. */
const NONCE = /^[A-Za-z0-9_-]{32}$/;

/** The reader's own nonce for the view of the heads (`?nonce=…`); undefined: none is given. */
function nonceOf({ originalUrl }: Request): Uint8Array | undefined {
  const given = new URL(originalUrl, 'http://localhost').searchParams.getAll('nonce');
  if (given.length === 0) return undefined;
  const [nonce = ''] = given;
  if (given.length > 1 || !NONCE.test(nonce))
    throw new Problem('NONCE_BAD', { detail: 'nonce: 24 random bytes in base64url, once' });
  return fromBase64url(nonce);
}

// A regulator may see every box. Whether a box is a centre's, hospital's or courier's own is not looked at here, so their
// keys show no more than the token does.
const readerOf = (principal: Principal | undefined): Reader =>
  principal?.kind === 'regulator' ? 'regulator' : 'anyone';

/** GET /p/{token}: the page of a box. */
export const getPage =
  (service: Service): RequestHandler =>
  async (req, res) => {
    const token = tokenOf(req);
    const page = token && (await service.packagePage(token));
    res
      .status(page ? 200 : 404)
      .type('html')
      .send(page ? renderPackagePage(page) : renderNotFound());
  };

/** GET /v1/packages/{token}/label.svg: the QR code and the code in groups of four. */
export const getLabelSvg =
  (service: Service): RequestHandler =>
  async (req, res) => {
    const { url, token } = await labelled(service, req);
    res.type('svg').send(labelSvg(url, token));
  };

/** GET /v1/packages/{token}/label.png: the QR code alone. */
export const getLabelPng =
  (service: Service): RequestHandler =>
  async (req, res) => {
    const { url } = await labelled(service, req);
    res.type('png').send(await labelPng(url));
  };

async function labelled(service: Service, req: Request): Promise<{ url: string; token: string }> {
  const token = tokenOf(req);
  if (!token || !(await service.packagePage(token))) throw new Problem('PACKAGE_UNKNOWN');
  return { url: `${service.publicUrl}/p/${token}`, token };
}
