// The one client of this page, and what it has been told.
import { QueryClient } from '@tanstack/react-query'
import { newClient, Problem } from '../core/client.ts'
import { queries } from '../core/queries.ts'

export const client = newClient()
export const ask = queries(client)

// What cannot become better by itself is not asked for again.
const tries = 2

export const cache = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: Infinity, // the server says when something has changed
      gcTime: 5 * 60_000,
      refetchOnWindowFocus: false,
      retry: (failures, error) => failures < tries && !(error instanceof Problem && error.status >= 400 && error.status < 500),
    },
  },
})
