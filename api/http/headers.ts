import type { RequestHandler } from 'express';
import helmet, { contentSecurityPolicy } from 'helmet';

// Helmet's own policy would upgrade requests, which breaks a centre's network without HTTPS, and let styles stand inline.
export const POLICY: Readonly<Record<string, readonly string[]>> = {
  'default-src': ["'none'"],
  'script-src': ["'self'"],
  'connect-src': ["'self'"],
  'img-src': ["'self'", 'data:'],
  'style-src': ["'self'"],
  'worker-src': ["'self'"],
  'manifest-src': ["'self'"],
  'base-uri': ["'none'"],
  'form-action': ["'self'"],
  'frame-ancestors': ["'none'"],
};

/** The security headers of every answer. The referrer policy keeps a token in a page's address from other sites. */
export const securityHeaders = (publicUrl: string): RequestHandler[] => [
  helmet({
    contentSecurityPolicy: { useDefaults: false, directives: POLICY },
    referrerPolicy: { policy: 'no-referrer' },
    strictTransportSecurity: publicUrl.startsWith('https:') ? { maxAge: 31_536_000 } : false,
  }),
  (_req, res, next) => {
    res.set('Permissions-Policy', 'camera=(), geolocation=(), microphone=()');
    next();
  },
];

/** The documentation page's own policy: Swagger UI writes styles into its elements. */
export const docsPolicy: RequestHandler = contentSecurityPolicy({
  useDefaults: false,
  directives: { ...POLICY, 'style-src': ["'self'", "'unsafe-inline'"] },
});
