import { QueryClientProvider } from '@tanstack/react-query'
import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { cache } from './api.ts'
import { App } from './app.tsx'
import './style.css'
import { askEarly } from './early.ts'
import { apply } from './theme.ts'

apply()
askEarly(location)
const root = document.getElementById('root')
if (root)
  createRoot(root).render(
    <StrictMode>
      <QueryClientProvider client={cache}>
        <App />
      </QueryClientProvider>
    </StrictMode>,
  )
