import compression from 'compression';
import express, { type Express, type RequestHandler } from 'express';
import type { Service } from '../service.ts';
import { getAnchor, postAnchor } from './anchors.ts';
import { getAsset, getSwaggerAsset } from './assets.ts';
import { readBody } from './body.ts';
import { getDocs, getDocsStart } from './docs.ts';
import { getReceipt, postEvents } from './events.ts';
import { docsPolicy, securityHeaders } from './headers.ts';
import { getHealthz, getReadyz } from './health.ts';
import { DEFAULT_LIMITS, limitFailures, limitInFlight, limitPerBox, type Limits } from './limits.ts';
import { openApi } from './openapi.ts';
import { getBundle, getLabelPng, getLabelSvg, getPage, secretUrl } from './packages.ts';
import { authenticate } from './principal.ts';
import { getProblem } from './problem-pages.ts';
import { errorHandler, Problem } from './problems.ts';
import { postDevice, postRevocation, postStation } from './registrations.ts';
import type { Log } from './context.ts';
import { requestLog } from './request-log.ts';

/** How the HTTP side is set up. */
export interface AppOptions {
  log: Log;
  /** the addresses of proxies in front of us, whose X-Forwarded-For is believed; none if not said */
  trustProxy?: readonly string[];
  limits?: Partial<Limits>;
  /** whether /docs is there; in production it is off unless wanted (ASVS 13.4.5) */
  docs: boolean;
}

/** The HTTP side over a service: every route on one screen. */
export function createApp(service: Service, { log, trustProxy = [], limits, docs }: AppOptions): Express {
  const most = { ...DEFAULT_LIMITS, ...limits };
  const keyTries = limitFailures(most, 401);
  const recorder = [noStore, keyTries, authenticate(service, 'recorder')];
  const registrar = [noStore, keyTries, authenticate(service, 'registrar')];
  const anybody = [noStore, keyTries, authenticate(service, 'any')];
  const box = [secretUrl, limitFailures(most, 404), limitPerBox(most)];
  const boxReader = [...box, keyTries, authenticate(service, 'optional')];

  const description = openApi();

  const app = express();
  app.disable('x-powered-by');
  app.set('trust proxy', [...trustProxy]);
  app.set('query parser', false);
  app.use(requestLog(log), securityHeaders(service.publicUrl), compression());

  app
    .route('/v1/events')
    .post(limitInFlight(most), recorder, readBody, postEvents(service))
    .all(only('POST'));
  app.route('/v1/receipts/:station/:n').get(recorder, getReceipt(service)).all(only('GET, HEAD'));
  app.route('/v1/stations').post(registrar, readBody, postStation(service)).all(only('POST'));
  app.route('/v1/stations/:station/revoke').post(registrar, postRevocation(service)).all(only('POST'));
  app.route('/v1/devices').post(registrar, readBody, postDevice(service)).all(only('POST'));
  app.route('/v1/anchors').post(anybody, postAnchor(service)).all(only('POST'));
  app.route('/v1/anchors/:seq').get(anybody, getAnchor(service)).all(only('GET, HEAD'));

  app.route('/v1/packages/:token/bundle').get(boxReader, getBundle(service)).all(only('GET, HEAD'));
  app.route('/v1/packages/:token/label.svg').get(box, getLabelSvg(service)).all(only('GET, HEAD'));
  app.route('/v1/packages/:token/label.png').get(box, getLabelPng(service)).all(only('GET, HEAD'));
  app.route('/p/:token').get(box, getPage(service)).all(only('GET, HEAD'));
  app.get('/assets/:file', getAsset);
  app.get('/trust.json', (_req, res) => res.json(service.trust()));

  app.get('/healthz', getHealthz);
  app.get('/readyz', getReadyz(service));
  app.get('/problems/:code', getProblem);
  app.get('/openapi.json', (_req, res) => res.json(description));
  if (docs) {
    app.get('/docs', docsPolicy, getDocs);
    app.get('/docs/start.js', getDocsStart);
    app.get('/docs/:file', getSwaggerAsset);
  }

  app.use(() => {
    throw new Problem('ROUTE_UNKNOWN');
  });
  app.use(errorHandler(log));
  return app;
}

const noStore: RequestHandler = (_req, res, next) => {
  res.set('Cache-Control', 'no-store');
  next();
};

const only =
  (methods: string): RequestHandler =>
  () => {
    throw new Problem('METHOD_NOT_ALLOWED', { headers: { Allow: methods } });
  };
