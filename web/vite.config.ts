import react from '@vitejs/plugin-react';
import { defineConfig } from 'vitest/config';

// In development the page comes from Vite and the API from a Hadal server, or from `npm run mock`.
const api = process.env['HADAL_URL'] ?? 'http://127.0.0.1:20417';

export default defineConfig({
  plugins: [react()],
  build: { target: 'es2022', chunkSizeWarningLimit: 1600, sourcemap: false },
  server: { port: 5173, proxy: { '/v1': api, '/healthz': api } },
  test: { include: ['src/**/*.test.ts'] },
});
