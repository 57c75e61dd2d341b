// docs.mjs URL: calls the API from the page /docs, as a reader does, and says what
// was answered. Fails where the page asks another host for anything, or complains.
import { chromium } from 'playwright-core';

const origin = process.argv[2];
const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] });
try {
  const page = await browser.newPage();
  const wrong = [];
  page.on('console', (m) => wrong.push(`${m.type()}: ${m.text()}`));
  page.on('pageerror', (e) => wrong.push(String(e)));
  page.on('request', (r) => {
    if (new URL(r.url()).origin !== origin) wrong.push(`asks ${r.url()}`);
  });
  await page.goto(origin + '/docs');
  await page.waitForSelector('details');
  await page.fill('#apiKeyName', process.env.API_KEY);
  await page.fill('#apiKeySecret', process.env.API_SECRET);

  const call = async (operation, inputs) => {
    await page.click(`#${operation} summary`);
    for (const [name, value] of Object.entries(inputs)) {
      await page.fill(`#${operation} .row:has(code:text-is("${name}")) input`, value);
    }
    await page.click(`#${operation} form button`);
    await page.waitForFunction((id) => /\n\d{3} /.test(document.querySelector(`#${id} form pre`).textContent), operation);
    console.log(await page.textContent(`#${operation} form pre`));
  };
  await call('putMember', {}); // its example is a body that can be sent
  await call('getMember', { appUserId: 'user-42' });
  const complaints = wrong.length; // a browser complains of the next one by itself
  await call('getVideoRoom', { id: 'room_none' });

  const codes = await page.locator('#errors tr').evaluateAll((rows) => rows.map((r) => r.id));
  if (!codes.includes('VIDEO_ROOM_NOT_FOUND') || codes.some((c) => !/^[A-Z_]+$/.test(c))) wrong.unshift(`error codes: ${codes}`);
  if (wrong.length > complaints + 1 || complaints > 0) throw new Error(wrong.join('\n'));
} finally {
  await browser.close();
}
