import react from '@vitejs/plugin-react'
import { defineConfig } from 'vite'

// Names have no hash in them: the server sends an ETag, and one build is the same bytes each time.
export default defineConfig({
  plugins: [react()],
  build: {
    target: 'es2022',
    modulePreload: false,
    assetsInlineLimit: 0,
    rollupOptions: { output: { entryFileNames: 'assets/[name].js', chunkFileNames: 'assets/[name].js', assetFileNames: 'assets/[name][extname]' } },
  },
})
