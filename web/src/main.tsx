import { QueryClientProvider } from '@tanstack/react-query';
import { RouterProvider } from '@tanstack/react-router';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import 'uplot/dist/uPlot.min.css';
import '@xyflow/react/dist/base.css';
import './theme/tokens.css';
import './theme/base.css';
import { queryClient } from './api/queries';
import { router } from './router';
import { startKeys } from './state/keys';
import { startTheme } from './theme/useTheme';

startTheme();
startKeys();
createRoot(document.getElementById('root')!).render(
  <StrictMode>
    <QueryClientProvider client={queryClient}>
      <RouterProvider router={router} />
    </QueryClientProvider>
  </StrictMode>,
);
