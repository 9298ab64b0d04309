"""`make bench-pack`: how many of the models that people have does `modelhost pack` take, and are they served right?"""
