// The one client of this page, and what it has been told.
import { MutationCache, QueryCache, QueryClient } from '@tanstack/react-query'
import { newClient, Problem } from '../core/client.ts'
import { queries } from '../core/queries.ts'

export const client = newClient()
export const ask = queries(client)

// What cannot become better by itself is not asked for again.
const tries = 2

// signedOut asks who one is, after an answer that says that one is nobody: the session has run out, and the page for that is shown.
const signedOut = (error: Error) => {
  const me = cache.getQueryState(['me'])
  if (error instanceof Problem && error.status === 401 && !me?.error) void cache.invalidateQueries({ queryKey: ['me'] })
}

export const cache: QueryClient = new QueryClient({
  queryCache: new QueryCache({ onError: signedOut }),
  mutationCache: new MutationCache({ onError: signedOut }),
  defaultOptions: {
    queries: {
      staleTime: Infinity, // the server says when something has changed
      gcTime: 5 * 60_000,
      refetchOnWindowFocus: false,
      retry: (failures, error) => failures < tries && !(error instanceof Problem && error.status >= 400 && error.status < 500),
    },
  },
})
