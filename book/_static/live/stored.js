window.frugalStored = {};
