import type { RequestHandler } from 'express';

const PAGE = `<!doctype html>
<html lang="zh-CN">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>药迹 Yaoji API</title>
<link rel="stylesheet" href="/docs/swagger-ui.css">
<div id="docs"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</html>
`;

// validatorUrl: Swagger UI would send the document's address to its makers' server.
const START = `SwaggerUIBundle({ url: '/openapi.json', dom_id: '#docs', validatorUrl: null });
`;

/** GET /docs: the API's documentation for a person, from our own files only. */
export const getDocs: RequestHandler = (_req, res) => {
  res.type('html').send(PAGE);
};

/** GET /docs/start.js: what fills it. */
export const getDocsStart: RequestHandler = (_req, res) => {
  res.type('js').send(START);
};
