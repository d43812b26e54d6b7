const answer = await fetch('/api/health').catch(() => undefined);
document.getElementById('health').textContent = answer?.ok ? 'healthy' : 'unhealthy';
