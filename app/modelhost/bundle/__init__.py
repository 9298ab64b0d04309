"""What a bundle is: readable without numpy or Flask, since the control machine reads bundles too."""
