// The theme that a person chose, before anything is drawn. Not a module: those come too late.
try {
  const theme = localStorage.getItem("staithe.theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch { /* no storage: the system says it */ }
