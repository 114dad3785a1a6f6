// Routes and what each keeps in its address. The rail shows what exists here and nothing else.
import { createRootRoute, createRoute, createRouter, redirect } from '@tanstack/react-router';
import { Frame } from './components/frame/Frame';
import { NotFound } from './components/states/NotFound';
import { Failure } from './components/states/States';
import { parseSearch, readMap, readRequests, readShared, readTrace, readTraces, sharedOf, stringifySearch } from './state/search';
import { AgentsView } from './views/agents/AgentsView';
import { MapView } from './views/map/MapView';
import { RequestsView } from './views/requests/RequestsView';
import { TraceView } from './views/trace/TraceView';
import { TracesView } from './views/traces/TracesView';

const root = createRootRoute({ component: Frame, notFoundComponent: NotFound });

const start = createRoute({
  getParentRoute: () => root,
  path: '/',
  validateSearch: readShared,
  beforeLoad: ({ search }) => {
    throw redirect({ to: '/map', search: sharedOf(search) });
  },
});
const map = createRoute({ getParentRoute: () => root, path: '/map', validateSearch: readMap, component: MapView });
const requests = createRoute({ getParentRoute: () => root, path: '/requests', validateSearch: readRequests, component: RequestsView });
const traces = createRoute({ getParentRoute: () => root, path: '/traces', validateSearch: readTraces, component: TracesView });
const trace = createRoute({ getParentRoute: () => root, path: '/traces/$id', validateSearch: readTrace, component: TraceView });
const agents = createRoute({ getParentRoute: () => root, path: '/agents', validateSearch: readShared, component: AgentsView });

export const router = createRouter({
  routeTree: root.addChildren([start, map, requests, traces, trace, agents]),
  parseSearch,
  stringifySearch,
  defaultNotFoundComponent: NotFound,
  // A mistake of the page itself: the frame stays, so that another page can be opened.
  defaultErrorComponent: ({ error, reset }) => <Failure error={error instanceof Error ? error : new Error(String(error))} retry={reset} what="This view" />,
});

declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router;
  }
}
